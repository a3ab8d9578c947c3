import type { Agent } from 'node:http';
import type { MemoryLease } from '../edges/http/message-memory.js';

/** Why a process is gone that did not end by itself: it, or its sandbox, was stopped. */
export class ServerStopped extends Error {
  override name = 'ServerStopped';
}

/** Where a server listens that speaks HTTP, for as long as its process lives. Nothing else is ever connected to. */
export interface HttpEndpoint {
  /** The sandbox's own address. */
  address: string;
  port: number;
  /** Path and query. */
  path: string;
  /** What the server takes itself for, `localhost:3000`; its guard against DNS rebinding expects that. */
  host: string;
  /** Of this deployment alone; destroyed with the process. */
  agent: Agent;
  /** Aborted when the process is gone, with an Error that says how it ended; a `ServerStopped` where it did not end by itself. */
  gone: AbortSignal;
  /** What it last wrote to stdout and stderr, where that cannot be about another client; else empty. */
  readonly lastWords: string;
  /** Accounts for what an answer takes in memory while it comes in. `grow` throws where there is no room. */
  answerMemory(): MemoryLease;
}
