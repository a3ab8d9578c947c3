import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from './engine.js';
import { killContainer } from './sandbox-containers.js';
import { isOurs } from './sandbox-names.js';

const RECONNECT_MS = 1_000;

interface EngineEvent {
  Type?: string;
  Action?: string;
  time?: number;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
}

interface Listener {
  /** A container ended or lost its network; of any instance. */
  died(containerId: string): void;
  /** Events are followed again. Those since the engine went away may be lost. */
  followedAgain(): void;
}

/**
 * Sees sandboxes die, and kills one as soon as its memory limit cost it a process: under gVisor the kernel kills whichever
 * of the sandbox's host processes is largest, and what that one was part of neither goes on nor ends.
 */
export class DeathWatch {
  private readonly stopped = new AbortController();
  private readonly killed = new Set<string>();
  private watching: Promise<void> | undefined;
  /** Of the stream of events that is read now. */
  private reading = new AbortController();
  /** Seconds; events from here on have not been seen. The engine remembers those of a while ago. */
  private since = 0;

  constructor(
    private readonly engine: Engine,
    private readonly instance: string,
    private readonly listener: Listener,
  ) {}

  start(): void {
    this.watching ??= this.watch();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    this.reading.abort();
    await this.watching;
  }

  /** The engine was away and is back: the stream that is read may be a dead one. */
  followAnew(): void {
    this.reading.abort();
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
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      this.reading = new AbortController();
      const events = await this.open(this.reading.signal).catch(() => undefined);
      if (events !== undefined) {
        if (attempt > 1) this.listener.followedAgain();
        await this.follow(events).catch(() => undefined);
      }
      await this.rest();
    }
  }

  /** Before the next attempt; cut short when the engine is known to be back. */
  private async rest(): Promise<void> {
    const { signal } = this.reading;
    await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
  }

  private async open(signal: AbortSignal): Promise<Readable> {
    const filters = { type: ['container', 'network'], event: ['oom', 'die', 'disconnect'] };
    return (await this.engine.ask(signal, (docker) =>
      docker.getEvents({ since: this.since, filters: JSON.stringify(filters), abortSignal: signal }),
    )) as Readable;
  }

  private async follow(events: Readable): Promise<void> {
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

  private async see({ Type, Action, time, Actor }: EngineEvent): Promise<void> {
    this.since = time ?? this.since;
    const { ID: id, Attributes: attributes } = Actor ?? {};
    const containerId = Type === 'network' ? attributes?.['container'] : id;
    if (containerId === undefined) return;
    if (Action !== 'oom') this.listener.died(containerId);
    else if (isOurs(attributes, this.instance)) await this.kill(containerId);
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
