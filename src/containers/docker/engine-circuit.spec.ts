import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EngineCircuit } from './engine-circuit.js';

const START = Date.parse('2026-01-01T00:00:00.000Z');

/** How the engine takes the next probes. */
let engine: 'answers' | 'is away' | 'is silent';
let probes: number[];
let heard: string[];
let circuit: EngineCircuit;

function probe(signal: AbortSignal): Promise<void> {
  probes.push(Date.now() - START);
  if (engine === 'answers') return Promise.resolve();
  if (engine === 'is away') return Promise.reject(new Error('It cannot be reached.'));
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  engine = 'answers';
  probes = [];
  heard = [];
  circuit = new EngineCircuit(probe, {
    opened: () => heard.push('opened'),
    closed: () => heard.push('closed'),
  });
});

afterEach(async () => {
  await circuit.stop();
  vi.useRealTimers();
});

describe('the circuit of an engine', () => {
  it('stays closed when a call failed and the engine answers', async () => {
    circuit.suspect();
    await pass(60_000);
    expect([probes, heard, circuit.refusal]).toEqual([[0], [], undefined]);
  });

  it('opens at once when the engine cannot be reached, and says why and since when', async () => {
    engine = 'is away';
    circuit.suspect();
    await pass(0);
    expect(heard).toEqual(['opened']);
    expect(circuit.refusal).toMatchObject({
      code: 'runtime_unavailable',
      detail: 'It cannot be reached. There has been no answer since 2026-01-01T00:00:00.000Z.',
      retryAfterSeconds: 8,
    });
  });

  it('opens when two probes in a row stay without an answer, not when one does', async () => {
    engine = 'is silent';
    circuit.suspect();
    await pass(2_499);
    engine = 'answers';
    await pass(60_000);
    expect([probes, heard]).toEqual([[0, 2_500], []]);

    engine = 'is silent';
    circuit.suspect();
    await pass(4_999);
    expect(heard).toEqual([]);
    await pass(1);
    expect(heard).toEqual(['opened']);
  });

  it('asks one probe at a time, however many suspect', async () => {
    engine = 'is silent';
    for (let i = 0; i < 10; i += 1) circuit.suspect();
    await pass(2_000);
    expect(probes).toEqual([0]);
  });

  it('asks less and less often, but every five seconds, and closes with the first answer', async () => {
    engine = 'is away';
    circuit.suspect();
    await pass(60_000);
    const rests = probes.slice(1).map((at, i) => at - (probes[i] ?? 0));
    expect(rests.slice(0, 7)).toEqual([100, 200, 400, 800, 1600, 3200, 5000]);
    expect(new Set(rests.slice(6))).toEqual(new Set([5000]));
    expect(heard).toEqual(['opened']);
    engine = 'answers';
    await pass(5_000);
    expect([heard, circuit.refusal]).toEqual([['opened', 'closed'], undefined]);
    const count = probes.length;
    await pass(60_000);
    expect(probes).toHaveLength(count);
  });

  it('opens and closes again and again', async () => {
    for (let i = 0; i < 3; i += 1) {
      engine = 'is away';
      circuit.suspect();
      await pass(1_000);
      engine = 'answers';
      await pass(5_000);
    }
    expect(heard).toEqual(Array.from({ length: 3 }, () => ['opened', 'closed']).flat());
  });

  it('looks at once for who wants the truth of now', async () => {
    engine = 'is away';
    circuit.suspect();
    await pass(20_000);
    engine = 'answers';
    await circuit.look();
    expect(circuit.refusal).toBeUndefined();
    // Nothing is suspected, so there is nothing to look for.
    const count = probes.length;
    await circuit.look();
    expect(probes).toHaveLength(count);
  });

  it('does not keep waiting who looks while the engine stays away', async () => {
    engine = 'is silent';
    circuit.suspect();
    await pass(20_000);
    const look = circuit.look();
    await pass(2_500);
    await look;
    expect(circuit.refusal).toBeDefined();
  });

  it('stops probing when it is stopped, in a probe or between two, without a word', async () => {
    engine = 'is silent';
    circuit.suspect();
    await pass(1_000);
    await circuit.stop();
    engine = 'is away';
    const other = new EngineCircuit(probe, { opened: () => undefined, closed: () => heard.push('closed') });
    other.suspect();
    await pass(4_000);
    await other.stop();
    const count = probes.length;
    circuit.suspect();
    other.suspect();
    await pass(60_000);
    expect([heard, probes.length, vi.getTimerCount()]).toEqual([[], count, 0]);
  });
});
