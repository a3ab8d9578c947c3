import type { Conversation, Target } from './target.js';

export interface Measured {
  /** Milliseconds, median, one call at a time. */
  echoMs: number;
  /** By number of sessions, each with one call in flight. */
  callsPerSecond: Record<number, number>;
  /** Milliseconds, median, handshake included; undefined where there are no sessions. */
  openMs: number;
}

const WARM_UP_CALLS = 50;
const CALLS = 300;
const OPENS = 3;
const THROUGHPUT_MS = 2000;
export const SESSION_COUNTS = [1, 8, 32] as const;

/** One round of everything against one target. */
export async function measure(target: Target): Promise<Measured> {
  const openMs = await measureOpen(target);
  const conversations: Conversation[] = [];
  try {
    conversations.push(await target.open());
    const echoMs = await measureEcho(conversations);
    const callsPerSecond: Record<number, number> = {};
    for (const count of SESSION_COUNTS) {
      while (conversations.length < count) conversations.push(await target.open());
      callsPerSecond[count] = await measureThroughput(conversations);
    }
    return { echoMs, callsPerSecond, openMs };
  } finally {
    await Promise.all(conversations.map((conversation) => conversation.close()));
    await target.settle();
  }
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function measureOpen(target: Target): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < OPENS; i++) {
    await target.settle();
    const started = performance.now();
    const conversation = await target.open();
    times.push(performance.now() - started);
    await conversation.close();
  }
  return median(times);
}

async function measureEcho([conversation]: Conversation[]): Promise<number> {
  const times: number[] = [];
  for (let i = -WARM_UP_CALLS; i < CALLS; i++) {
    const started = performance.now();
    await checkedEcho(conversation, `call ${i}`);
    if (i >= 0) times.push(performance.now() - started);
  }
  return median(times);
}

async function measureThroughput(conversations: Conversation[]): Promise<number> {
  let calls = 0;
  const started = performance.now();
  await Promise.all(
    conversations.map(async (conversation, index) => {
      for (let i = 0; performance.now() - started < THROUGHPUT_MS; i++) {
        await checkedEcho(conversation, `call ${i} of ${index}`);
        calls++;
      }
    }),
  );
  return calls / ((performance.now() - started) / 1000);
}

/** A fast wrong answer is worth nothing. */
async function checkedEcho(conversation: Conversation | undefined, message: string): Promise<void> {
  const text = await conversation?.echo(message);
  if (!text?.includes(message)) throw new Error(`"${message}" came back as "${text}"`);
}
