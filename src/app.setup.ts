import type { Server } from 'node:http';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import { Config } from './config/config.js';
import { jsonBody, refuseOddBody } from './errors/json-body.js';
import { ProblemFilter } from './errors/problem.filter.js';
import { assignRequestId } from './errors/request-id.js';
import { requestValidation } from './errors/request-validation.js';
import { Gateway } from './gateway/gateway.js';
import { serveUpgrades } from './http-upgrade.js';
import { report } from './instrument.js';
import { serveOpenApi } from './openapi.js';
import { ApiKeyGuard } from './tenancy/api-key.guard.js';

const HEADERS_TIMEOUT_MS = 30_000;
/** For a whole request, not for its answer: 16 MB at 27 KB/s. */
const REQUEST_TIMEOUT_MS = 600_000;
/** Longer than the usual 60 s of reverse proxies, so that they, not we, close idle connections. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

/** What a request passes, in this order, before it reaches a controller. */
export function setUpApp(app: NestExpressApplication): void {
  const config = app.get(Config);
  app.disable('x-powered-by');
  // No ETags: answers differ with time, and hashing them costs more than it saves.
  app.disable('etag');
  mountGateway(app);
  app.use(assignRequestId, setSecurityHeaders);
  // Before the guard, because the documentation is public.
  serveOpenApi(app);
  app.use(
    '/api',
    app.get(ApiKeyGuard).middleware,
    forbidCaching,
    jsonBody(config.maxApiBodyBytes),
    refuseOddBody,
  );
  app.useGlobalPipes(requestValidation());
  app.useGlobalFilters(new ProblemFilter(report));
  setTimeouts(app.getHttpServer());
}

/** First of all, so that nothing reads its bodies, and nothing slows its messages down. */
function mountGateway(app: NestExpressApplication): void {
  const gateway = app.get(Gateway);
  app.use((req: Request, res: Response, next: NextFunction) => {
    if (!req.url.startsWith('/mcp-server/')) return next();
    // It answers every error itself and never rejects.
    void gateway.handle(req, res);
  });
  serveUpgrades(app.getHttpServer(), '/mcp-server/', (req, socket, head) =>
    gateway.upgrade(req, socket, head),
  );
}

function setSecurityHeaders(_req: Request, res: Response, next: NextFunction): void {
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('Referrer-Policy', 'no-referrer');
  res.setHeader(
    'Content-Security-Policy',
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
  );
  next();
}

/** The answer to POST holds a token. */
function forbidCaching(_req: Request, res: Response, next: NextFunction): void {
  res.setHeader('Cache-Control', 'no-store');
  next();
}

function setTimeouts(server: Server): void {
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS;
}
