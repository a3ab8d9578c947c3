import { statfs } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { Config } from '../config/config.js';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { Database } from '../database/database.js';
import { judgeDisk } from './disk-space.js';
import type { HealthDto } from './health.dto.js';

const FRESH_MS = 2000;
const PATIENCE_MS = 5000;

/** Asks what we stand on whether it holds. Answers are kept for a moment, so that asking cannot be made a burden. */
@Injectable()
export class Health {
  private last: { at: number; answer: Promise<HealthDto> } | undefined;

  constructor(
    private readonly config: Config,
    private readonly database: Database,
    private readonly runtime: SandboxRuntime,
  ) {}

  /** Never rejects. */
  check(now: number): Promise<HealthDto> {
    if (this.last === undefined || now - this.last.at >= FRESH_MS)
      this.last = { at: now, answer: this.ask() };
    return this.last.answer;
  }

  private async ask(): Promise<HealthDto> {
    const [disk, engine] = await Promise.all([this.askDisk(), this.askEngine()]);
    const checks = [this.askDatabase(), disk, ...engine].map((check) => this.warnOfRuntime(check));
    return { status: checks.every((check) => check.ok) ? 'ok' : 'unhealthy', checks };
  }

  private askDatabase(): HealthDto['checks'][number] {
    try {
      this.database.check();
      return { name: 'database', ok: true, message: 'It can be read.' };
    } catch {
      return {
        name: 'database',
        ok: false,
        message: 'It cannot be read. Look at DATA_DIR: is the disk full?',
      };
    }
  }

  private async askDisk(): Promise<HealthDto['checks'][number]> {
    try {
      return { name: 'disk', ...judgeDisk(await statfs(this.config.dataDir)) };
    } catch {
      return { name: 'disk', ok: false, message: 'DATA_DIR cannot be looked at.' };
    }
  }

  private async askEngine(): Promise<HealthDto['checks']> {
    try {
      return await this.runtime.check(AbortSignal.timeout(PATIENCE_MS));
    } catch {
      return [{ name: 'engine', ok: false, message: 'It does not answer. Is the Docker engine running?' }];
    }
  }

  private warnOfRuntime(check: HealthDto['checks'][number]): HealthDto['checks'][number] {
    if (check.name !== 'runtime' || this.config.sandboxRuntime === 'runsc') return check;
    const warning = `UNSAFE: sandboxes run under ${this.config.sandboxRuntime}, not under gVisor (ALLOW_UNSAFE_RUNTIME).`;
    return { name: check.name, ok: check.ok, message: `${warning} ${check.message}` };
  }
}
