import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from './engine.js';
import { killContainer } from './sandbox-containers.js';
import { LABEL_INSTANCE } from './sandbox-names.js';

const RECONNECT_MS = 1_000;

interface EngineEvent {
  Action?: string;
  time?: number;
  Actor?: { ID?: string };
}

/**
 * Sees sandboxes die, and kills one as soon as its memory limit cost it a process: under gVisor the kernel kills whichever
 * of the sandbox's host processes is largest, and what that one was part of neither goes on nor ends.
 */
export class DeathWatch {
  private readonly stopped = new AbortController();
  private readonly killed = new Set<string>();
  private watching: Promise<void> | undefined;
  /** Seconds; events from here on have not been seen. The engine remembers those of a while ago. */
  private since = 0;

  constructor(
    private readonly engine: Engine,
    private readonly instance: string,
    private readonly onDeath: (containerId: string) => void,
  ) {}

  start(): void {
    this.watching ??= this.watch();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.watching;
  }

  /** Whether this container was killed here. */
  hasKilled(containerId: string): boolean {
    return this.killed.has(containerId);
  }

  forget(containerId: string): void {
    this.killed.delete(containerId);
  }

  /** Never rejects. */
  private async watch(): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      await this.follow(signal).catch(() => undefined);
      await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  private async follow(signal: AbortSignal): Promise<void> {
    const filters = {
      type: ['container'],
      event: ['oom', 'die'],
      label: [`${LABEL_INSTANCE}=${this.instance}`],
    };
    const events = (await this.engine.ask(signal, (docker) =>
      docker.getEvents({ since: this.since, filters: JSON.stringify(filters), abortSignal: signal }),
    )) as Readable;
    const failure = new Promise<never>((_resolve, reject) => {
      events.on('error', reject);
    });
    const read = async (): Promise<void> => {
      for await (const line of createInterface({ input: events }))
        await this.see(JSON.parse(line) as EngineEvent);
    };
    try {
      await Promise.race([read(), failure]);
    } finally {
      events.destroy();
    }
  }

  private async see({ Action, time, Actor }: EngineEvent): Promise<void> {
    this.since = time ?? this.since;
    const id = Actor?.ID;
    if (id === undefined) return;
    if (Action === 'die') this.onDeath(id);
    else await this.kill(id);
  }

  private async kill(id: string): Promise<void> {
    if (this.killed.has(id)) return;
    const container = await this.engine.find(this.stopped.signal, (docker, abortSignal) =>
      docker.getContainer(id).inspect({ abortSignal }),
    );
    if (container === undefined) return;
    this.killed.add(id);
    await killContainer(this.engine, id).catch(() => undefined);
  }
}
