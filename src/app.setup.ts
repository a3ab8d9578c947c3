import type { Server } from 'node:http';
import { Logger } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import { Config } from './config/config.js';
import { DeploymentsRepository } from './deployments/deployments.repository.js';
import { StartWatch } from './deployments/start-watch.js';
import { AppError } from './errors/app-error.js';
import { jsonBody, refuseOddBody } from './errors/json-body.js';
import { ProblemFilter } from './errors/problem.filter.js';
import { assignRequestId, requestIdOf } from './errors/request-id.js';
import { requestValidation } from './errors/request-validation.js';
import { Gateway, RESTART_SECONDS } from './gateway/gateway.js';
import { GatewayFaults } from './gateway/gateway-faults.js';
import { serveUpgrades } from './http-upgrade.js';
import { report, reportSlowStart } from './instrument.js';
import { HttpMetrics } from './metrics/http-metrics.js';
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
  app.use(app.get(HttpMetrics).middleware);
  // Success is silent, unless somebody is looking for something.
  if (config.logLevel === 'debug') app.use(logAnswer(new Logger('Http')));
  mountGateway(app);
  app.use(assignRequestId, setSecurityHeaders, refuseWhileClosing(app.get(Gateway)));
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
  app.get(GatewayFaults).reportTo(report);
  reportSlowStarts(app, config.slowStartSeconds);
  setTimeouts(app.getHttpServer());
}

function reportSlowStarts(app: NestExpressApplication, slowSeconds: number): void {
  const deployments = app.get(DeploymentsRepository);
  app.get(StartWatch).observe({
    ended({ deploymentId, kind }, outcome, times) {
      if (outcome === 'superseded' || times.seconds < slowSeconds) return;
      const transport = deployments.find(deploymentId)?.transport;
      if (transport !== undefined) reportSlowStart({ transport, kind, outcome, ...times });
    },
  });
}

/** Before all that reads bodies, and all that would slow its messages down. */
function mountGateway(app: NestExpressApplication): void {
  const gateway = app.get(Gateway);
  app.use((req: Request, res: Response, next: NextFunction) => {
    if (!req.url.startsWith('/mcp-server/')) return next();
    // It answers every error itself and never rejects.
    void gateway.handle(req, res);
  });
  const metrics = app.get(HttpMetrics);
  serveUpgrades(app.getHttpServer(), '/mcp-server/', async (req, socket, head) =>
    metrics.count(req, await gateway.upgrade(req, socket, head)),
  );
}

/** One line per answer that is over. Paths only: queries hold session ids. */
function logAnswer(logger: Logger) {
  return (req: Request, res: Response, next: NextFunction): void => {
    const beganAt = performance.now();
    const { method } = req;
    const [path = ''] = req.originalUrl.split('?', 1);
    res.once('close', () => {
      const facts = { requestId: requestIdOf(req), method, path, status: res.statusCode };
      const seconds = (performance.now() - beganAt) / 1000;
      logger.debug({ event: 'request_served', ...facts, seconds, isWhole: res.writableFinished });
    });
    next();
  };
}

/** Nest's own refusal says neither what is the matter nor when to come again. */
function refuseWhileClosing(gateway: Gateway) {
  return (_req: Request, _res: Response, next: NextFunction): void => {
    if (gateway.isClosing) throw new AppError('shutting_down', { retryAfterSeconds: RESTART_SECONDS });
    next();
  };
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
