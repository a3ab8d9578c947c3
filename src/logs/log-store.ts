import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Config } from '../config/config.js';
import { AppError } from '../errors/app-error.js';
import { within } from '../waiting/within.js';
import { DeploymentLog } from './deployment-log.js';
import type { ProcessLog } from './process-log.js';
import { QueueRoom } from './queue-room.js';

const ALL_QUEUES_BYTES = 16 * 1024 * 1024;
/** A server process that is on its way when its deployment goes must not bring its log back. */
const MOST_REMEMBERED = 10_000;
const FLUSH_MS = 5_000;

/** The logs of all deployments, each in a folder of its own below the data directory. */
@Injectable()
export class LogStore implements OnApplicationShutdown {
  private readonly logger = new Logger(LogStore.name);
  private readonly logs = new Map<string, DeploymentLog>();
  /** Ids are never given twice. */
  private readonly removed = new Set<string>();
  private readonly room = new QueueRoom(ALL_QUEUES_BYTES);
  private readonly folder: string;

  constructor(private readonly config: Config) {
    this.folder = join(config.dataDir, 'logs');
  }

  /** The log of a process that is about to be started; what it is told after the deployment is gone goes nowhere. */
  openProcess(deploymentId: string): ProcessLog {
    return this.logOf(deploymentId).openProcess();
  }

  /** Throws `deployment_not_found` where it was removed. */
  get(deploymentId: string): DeploymentLog {
    const log = this.logOf(deploymentId);
    if (log.isRemoved) throw new AppError('deployment_not_found');
    return log;
  }

  /** Idempotent. Resolves when nothing of it is left; throws what the disk says. */
  async remove(deploymentId: string): Promise<void> {
    const log = this.logOf(deploymentId);
    this.removed.add(deploymentId);
    const [oldest] = this.removed;
    if (this.removed.size > MOST_REMEMBERED && oldest !== undefined) this.removed.delete(oldest);
    await log.remove();
    this.logs.delete(deploymentId);
  }

  /** Ids of the deployments that have one. */
  async list(): Promise<string[]> {
    try {
      return (await readdir(this.folder)).filter((name) => name.startsWith('dp_'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  /** What the processes said that were ended before. */
  async onApplicationShutdown(): Promise<void> {
    await within(FLUSH_MS, Promise.all([...this.logs.values()].map((log) => log.flushed())));
  }

  private logOf(deploymentId: string): DeploymentLog {
    const known = this.logs.get(deploymentId);
    if (known) return known;
    const folder = join(this.folder, deploymentId);
    const log = new DeploymentLog(folder, this.config.logMaxBytesPerDeployment, this.room, (error) => {
      this.logger.warn({ event: 'log_failed', deploymentId, error: String(error) });
    });
    if (this.removed.has(deploymentId)) log.close();
    else this.logs.set(deploymentId, log);
    return log;
  }
}
