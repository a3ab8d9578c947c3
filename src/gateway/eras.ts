import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { AppError } from '../errors/app-error.js';
import { speaksModern } from '../mcp/modern/era-probe.js';
import type { Era } from '../mcp/modern/era.js';
import { shakeHands } from '../mcp/sessions/handshake.js';
import { CLIENT_INFO } from './client-info.js';
import { ProcessPool } from './process-pool.js';

/** A wrong "no" of a server that was slow once would stay silent for ever. */
const FRESH_MS = 3_600_000;
const MAX_VERDICTS = 2_000;
/** A server that knows the request answers it at once; one that does not may stay silent. */
const DISCOVER_MS = 20_000;

interface Verdict {
  speaks: Promise<boolean>;
  at: number;
}

/**
 * Which eras a server speaks. Found out on processes that are thrown away, and remembered per tenant, image digest, arguments
 * and environment: what a server speaks is a matter of its program, and the environment may choose it.
 */
@Injectable()
export class Eras {
  private readonly verdicts = new Map<string, Verdict>();

  constructor(private readonly processes: ProcessPool) {}

  speaks(era: Era, row: DeploymentRow, now: number): Promise<boolean> {
    const known = this.verdicts.get(keyOf(era, row));
    if (known && now - known.at < FRESH_MS) return known.speaks;
    const speaks = era === 'modern' ? this.probeModern(row) : this.probeHandshake(row, now);
    this.keep(era, row, speaks, now);
    return speaks;
  }

  /** What was found out on the way. */
  learn(era: Era, row: DeploymentRow, speaks: boolean, now: number): void {
    this.keep(era, row, Promise.resolve(speaks), now);
  }

  private keep(era: Era, row: DeploymentRow, speaks: Promise<boolean>, now: number): void {
    const key = keyOf(era, row);
    this.verdicts.delete(key);
    this.verdicts.set(key, { speaks, at: now });
    const [oldest] = this.verdicts.keys();
    if (this.verdicts.size > MAX_VERDICTS && oldest !== undefined) this.verdicts.delete(oldest);
    // A probe that could not be made is no verdict.
    speaks.catch(() => this.verdicts.delete(key));
  }

  private async probeModern(row: DeploymentRow): Promise<boolean> {
    const channel = await this.processes.spawn(row, new AbortController().signal);
    try {
      return await speaksModern(channel, CLIENT_INFO, AbortSignal.timeout(DISCOVER_MS));
    } finally {
      // It ends by itself within its deadlines; the first client need not wait for that.
      void channel.close();
    }
  }

  /** A server that refuses the handshake and has no other era keeps its refusal, which says more than a verdict. */
  private async probeHandshake(row: DeploymentRow, now: number): Promise<boolean> {
    const channel = await this.processes.spawn(row, new AbortController().signal);
    try {
      await shakeHands(channel, CLIENT_INFO, AbortSignal.timeout(row.startTimeoutSeconds * 1000));
      return true;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'server_invalid') return true;
      return !(await this.speaks('modern', row, now));
    } finally {
      void channel.close();
    }
  }
}

function keyOf(era: Era, row: DeploymentRow): string {
  const { tenantId, imageId, id, transport, endpoint, args, env } = row;
  const what = JSON.stringify([
    // The limits of a tenant may be what made a server seem silent.
    tenantId,
    imageId ?? id,
    transport,
    endpoint,
    args,
    Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);
  // Environments hold secrets, which need not lie about in keys.
  return `${era} ${createHash('sha256').update(what).digest('base64url')}`;
}
