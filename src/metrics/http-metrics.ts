import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { CLIENT_LEFT } from '../mcp/edges/http/http-reply.js';
import { MetricsRegistry } from './metrics-registry.js';

/** Those that this service gives, and `other`: what stands before a server of a sandbox passes its own on. */
const STATUSES = new Set([
  101, 200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 426, 429, 431, 499, 500,
  502, 503,
]);
const GATEWAY = /^\/mcp-server\/[^/?]+\/(mcp|sse|messages|ws)(?:\?|$)/;
const FIRST = /^\/(api|health|metrics)(?:[/?]|$)/;

/** Answers to HTTP requests of all kinds: what the gateway refuses never becomes an MCP request. */
@Injectable()
export class HttpMetrics {
  private readonly answers: Counter<'route' | 'status'>;

  constructor(metrics: MetricsRegistry) {
    this.answers = metrics.counter({
      name: 'mcp_runner_http_responses_total',
      help: 'HTTP answers that are over, by route and status; 499: the client left before there was one.',
      labels: ['route', 'status'],
    });
  }

  readonly middleware = (req: IncomingMessage, res: ServerResponse, next: () => void): void => {
    // Express changes it on the way.
    const { url } = req;
    res.once('close', () => this.count({ url }, res.headersSent ? res.statusCode : CLIENT_LEFT));
    next();
  };

  count({ url = '' }: Pick<IncomingMessage, 'url'>, status: number): void {
    const known = STATUSES.has(status) ? String(status) : 'other';
    this.answers.inc({ route: routeOf(url), status: known });
  }
}

/** One of a handful, whatever the path. */
export function routeOf(url: string): string {
  return GATEWAY.exec(url)?.[1] ?? FIRST.exec(url)?.[1] ?? 'other';
}
