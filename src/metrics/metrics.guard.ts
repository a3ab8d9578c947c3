import { createHash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { Config } from '../config/config.js';
import { AppError } from '../errors/app-error.js';
import { ApiKeys } from '../tenancy/api-keys.js';

/**
 * Metrics tell about all tenants, so they are closed unless METRICS_PUBLIC opens them: METRICS_KEY is for the scraper,
 * which should not hold a key that can do more, and the key of the API opens them as well.
 */
@Injectable()
export class MetricsGuard implements CanActivate {
  private readonly hash: Buffer | undefined;

  constructor(
    private readonly config: Config,
    private readonly keys: ApiKeys,
  ) {
    this.hash = config.metricsKey === undefined ? undefined : digest(config.metricsKey);
  }

  canActivate(context: ExecutionContext): true {
    if (this.config.metricsPublic) return true;
    const key = keyOf(context.switchToHttp().getRequest<Request>());
    if (key !== undefined && (this.isMetricsKey(key) || this.keys.verify(key) !== undefined)) return true;
    throw new AppError('unauthorized', {
      detail: 'Send METRICS_KEY or an API key, as "Authorization: Bearer …" or in the X-API-Key header.',
    });
  }

  private isMetricsKey(key: string): boolean {
    return this.hash !== undefined && timingSafeEqual(digest(key), this.hash);
  }
}

function keyOf(req: Request): string | undefined {
  return req.header('x-api-key') ?? /^Bearer +(\S+) *$/i.exec(req.header('authorization') ?? '')?.[1];
}

function digest(key: string): Buffer<ArrayBuffer> {
  return createHash('sha256').update(key).digest();
}
