import { describe, expect, it } from 'vitest';
import { call, echo, type EdgeServer, startEdge } from '../../../../test/support/edge-server.js';
import { seededRandom } from '../../../../test/support/seeded-random.js';
import { AppError } from '../../../errors/app-error.js';
import { StdioChannel } from '../../channels/stdio-channel.js';
import { ScriptedProcess } from '../../../../test/support/scripted-process.js';

const LIMIT = 3;

type Held = Record<'mcp-session-id', string>;

/** Sessions are opened, used, lost, put to sleep, forgotten, stopped and ended in any order and at once. */
async function live(edge: EdgeServer, random: () => number, alive: () => ScriptedProcess[]): Promise<void> {
  const held: Held[] = [];
  const pick = <T>(all: T[]): T | undefined => all[Math.floor(random() * all.length)];
  const work: Promise<unknown>[] = [];
  const steps: (() => Promise<unknown> | void)[] = [
    async () => {
      const session = await edge.open();
      if (session['mcp-session-id'] !== 'undefined') held.push(session);
    },
    ...Array.from({ length: 3 }, () => async () => {
      const session = pick(held);
      if (!session) return;
      const reply = await (await edge.ask(call(1), session)).whole();
      expect([200, 404, 502, 503]).toContain(reply.status);
    }),
    () => pick(alive())?.exit(1),
    () => edge.sessions.stopAll('stopped', 'dp_a'),
    async () => {
      edge.clock.now += 20 * 60_000;
      await edge.sessions.stopIdle(() => 600_000);
    },
    async () => {
      const session = pick(held);
      if (session) await edge.remove(session);
    },
  ];
  for (let step = 0; step < 150; step++) {
    work.push(Promise.resolve(pick(steps)?.()));
    if (random() < 0.5) await Promise.all(work.splice(0));
    expect(edge.sessions.count('dp_a')).toBeLessThanOrEqual(LIMIT);
  }
  await Promise.all(work);
  // What sleeps has no place; what is awake has exactly one.
  expect(edge.sessions.count('dp_a')).toBe(alive().length);
  for (const session of held) await edge.remove(session);
}

describe('the places of a deployment', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'are never too many, and all come back, whatever happens (%i)',
    async (seed) => {
      const random = seededRandom(seed);
      const processes: ScriptedProcess[] = [];
      const exited = new WeakSet<ScriptedProcess>();
      const edge = await startEdge(undefined, {
        maxSessions: LIMIT,
        openChannel: async () => {
          if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
          if (random() < 0.2) throw new AppError('sandbox_gone');
          const process = new ScriptedProcess((message, one) => {
            if (random() < 0.05) {
              exited.add(one);
              one.exit(1);
            } else echo(message, one);
          });
          processes.push(process);
          return new StdioChannel(process, 1 << 20);
        },
      });
      await live(edge, random, () => processes.filter((one) => one.ends === 0 && !exited.has(one)));
      expect(edge.sessions.count('dp_a')).toBe(0);
      expect(edge.sessions.size).toBe(0);
      expect(processes.map(({ ends }) => ends)).toEqual(processes.map(() => 1));
      expect(edge.store.sessions.size).toBe(0);
      expect([edge.counts, edge.faults]).toMatchObject([{ leases: 0, calls: 0 }, []]);
      await edge.close();
    },
  );
});
