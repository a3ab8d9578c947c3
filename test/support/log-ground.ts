import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeploymentLog, type TailQuery } from '../../src/logs/deployment-log.js';
import type { LogLine } from '../../src/logs/log-line.js';
import { QueueRoom } from '../../src/logs/queue-room.js';

/** A log on a real disk, which may be opened again as another service would. */
export class LogGround {
  readonly folder = join(mkdtempSync(join(tmpdir(), 'mcp-runner-log-')), 'dp_a');
  readonly faults: unknown[] = [];
  log: DeploymentLog;

  constructor(
    private maxBytes = 1024 * 1024,
    private readonly room = new QueueRoom(16 * 1024 * 1024),
  ) {
    this.log = this.open();
  }

  /** What was kept by the log before is what the next one finds. */
  async reopen(maxBytes = this.maxBytes): Promise<DeploymentLog> {
    this.maxBytes = maxBytes;
    await this.log.flushed();
    this.log = this.open();
    return this.log;
  }

  /** The segments, oldest first. */
  get files(): string[] {
    const names = readdirSync(this.folder).sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
    return names.map((name) => join(this.folder, name));
  }

  get bytes(): number {
    return this.files.reduce((sum, file) => sum + statSync(file).size, 0);
  }

  get content(): string {
    return this.files.map((file) => readFileSync(file, 'utf8')).join('');
  }

  async lines(query: Partial<TailQuery> = {}): Promise<LogLine[]> {
    const { lines } = await this.log.tail({ tail: 10_000, since: undefined, process: undefined, ...query });
    return lines;
  }

  async texts(query: Partial<TailQuery> = {}): Promise<string[]> {
    return (await this.lines(query)).map(({ text }) => text);
  }

  async dispose(): Promise<void> {
    await this.log.flushed();
    rmSync(join(this.folder, '..'), { recursive: true, force: true });
  }

  private open(): DeploymentLog {
    return new DeploymentLog(this.folder, this.maxBytes, this.room, (error) => this.faults.push(error));
  }
}
