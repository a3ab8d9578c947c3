import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { Injectable } from '@nestjs/common';
import { Config } from '../config/config.js';
import { EdgeError } from '../mcp/edges/http/http-reply.js';

const ALLOWED_HEADERS = [
  'Content-Type',
  'Accept',
  'Authorization',
  'X-API-Key',
  'Mcp-Session-Id',
  'MCP-Protocol-Version',
  'Last-Event-ID',
  'Mcp-Method',
  'Mcp-Name',
  'X-Request-Id',
  'traceparent',
  'tracestate',
].join(', ');

/**
 * Keeps foreign web pages out (DNS rebinding, cross-site requests) and lets the allowed ones in (CORS). Programs send no
 * Origin and are not concerned.
 */
@Injectable()
export class OriginGuard {
  constructor(private readonly config: Config) {}

  /**
   * Throws 403 for a page from an origin that is not allowed. `byUrlAlone`: no key protects the deployment, so the
   * Host has to be one of ours as well.
   */
  check(req: IncomingMessage, byUrlAlone: boolean): void {
    const { origin, host } = req.headers;
    if (origin !== undefined && !this.isAllowedOrigin(origin, host)) {
      throw new EdgeError(
        403,
        `Forbidden: the origin ${quoted(origin)} is not allowed; CORS_ORIGINS names those that are`,
      );
    }
    if (byUrlAlone && !this.isOurHost(host)) {
      throw new EdgeError(
        403,
        `Forbidden: the host ${quoted(host ?? '')} is not known here; set PUBLIC_URL, or add it to ALLOWED_HOSTS`,
      );
    }
  }

  /** What an allowed page's browser needs to see on every answer. */
  setCorsHeaders(req: IncomingMessage, res: ServerResponse): void {
    const { origin, host } = req.headers;
    if (origin === undefined || !this.isAllowedOrigin(origin, host)) return;
    res.setHeader('access-control-allow-origin', origin);
    res.setHeader('vary', 'Origin');
    res.setHeader(
      'access-control-expose-headers',
      'Mcp-Session-Id, WWW-Authenticate, Retry-After, X-Request-Id',
    );
    if (req.method !== 'OPTIONS') return;
    res.setHeader('access-control-allow-methods', 'GET, POST, DELETE');
    res.setHeader('access-control-allow-headers', [ALLOWED_HEADERS, ...paramHeadersIn(req)].join(', '));
    res.setHeader('access-control-max-age', '86400');
  }

  private isAllowedOrigin(origin: string, host: string | undefined): boolean {
    if (this.config.corsOrigins.includes(origin) || origin === this.config.publicUrl) return true;
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    if (!url) return false;
    return isLoopback(url.hostname) || (url.host === host && this.isOurHost(host));
  }

  /** An IP literal cannot be rebound; a name can, so it has to be known. */
  private isOurHost(host: string | undefined): boolean {
    const name =
      host !== undefined && URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : '';
    if (isLoopback(name) || isIP(name.replace(/^\[|\]$/g, '')) !== 0) return true;
    const { publicUrl, allowedHosts } = this.config;
    return allowedHosts.includes(name) || (publicUrl !== undefined && new URL(publicUrl).hostname === name);
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Headers of the modern era whose names a tool chooses. */
function paramHeadersIn({ headers }: IncomingMessage): string[] {
  const asked = (headers['access-control-request-headers'] ?? '').split(',');
  return asked.map((name) => name.trim()).filter((name) => /^mcp-param-[\w-]{1,100}$/i.test(name));
}

/** A header in a message: short, and without what could break a line. */
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
