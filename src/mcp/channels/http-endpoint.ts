import type { Agent } from 'node:http';
import type { MemoryLease } from '../edges/http/message-memory.js';

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
  /** Aborted when the process is gone, with an Error that says how it ended. */
  gone: AbortSignal;
  /** What it last wrote to stdout and stderr. */
  readonly lastWords: string;
  /** Accounts for what an answer takes in memory while it comes in. `grow` throws where there is no room. */
  answerMemory(): MemoryLease;
}
