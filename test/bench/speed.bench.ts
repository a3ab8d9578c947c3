import { it } from 'vitest';
import { BareTarget } from './bare-target.js';
import { FloorTarget } from './floor-target.js';
import { type Measured, measure, median, SESSION_COUNTS } from './measure.js';
import { RunnerTarget } from './runner-target.js';
import type { Target } from './target.js';

const SERVER = '@modelcontextprotocol/server-everything@2026.8.31';
/** Rounds are interleaved, so that a noisy minute of the machine hits every target. */
const ROUNDS = 3;
const IDLE_MB = 120;

interface Row {
  what: string;
  value: (measured: Measured) => number;
  /** Ours as a multiple of the bare server's: at most, or at least. */
  target: { atMost: number } | { atLeast: number };
}

const ROWS: Row[] = [
  { what: 'echo p50, ms', value: (m) => m.echoMs, target: { atMost: 0.6 } },
  ...SESSION_COUNTS.map((count) => ({
    what: `calls/s, ${count} session${count === 1 ? '' : 's'}`,
    value: (m: Measured) => m.callsPerSecond[count] ?? Number.NaN,
    target: { atLeast: count === 1 ? 1.5 : 1 },
  })),
  { what: 'open a session p50, ms', value: (m) => m.openMs, target: { atMost: 1.2 } },
];

it('prints how fast we are against the bare server and the floor', async () => {
  const targets: Target[] = [];
  try {
    targets.push(await FloorTarget.start(SERVER), await BareTarget.start(SERVER));
    const ours = await RunnerTarget.start(SERVER);
    targets.push(ours);
    const rounds: Measured[][] = targets.map(() => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, target] of targets.entries()) {
        process.stdout.write(`round ${round + 1} of ${ROUNDS}: ${target.name}\n`);
        rounds[index]?.push(await measure(target));
      }
    }
    print(rounds);
    printMemory(ours);
  } finally {
    for (const target of targets) await target.stop();
  }
});

function print([floor = [], bare = [], ours = []]: Measured[][]): void {
  const lines = [['', 'floor', 'bare', 'ours', 'ours / bare', 'wanted']];
  for (const { what, value, target } of ROWS) {
    const [f, b, o] = [floor, bare, ours].map((measured) => median(measured.map(value))) as [
      number,
      number,
      number,
    ];
    const ratio = o / b;
    const met = 'atMost' in target ? ratio <= target.atMost : ratio >= target.atLeast;
    const wanted = 'atMost' in target ? `<= ${target.atMost}` : `>= ${target.atLeast}`;
    lines.push([what, short(f), short(b), short(o), ratio.toFixed(2), `${wanted}${met ? '' : ', not met'}`]);
  }
  process.stdout.write(`\nMedians of ${ROUNDS} interleaved rounds, ${SERVER}\n\n`);
  for (const cells of lines) {
    const [first = '', ...rest] = cells;
    process.stdout.write(`${first.padEnd(24)}${rest.map((cell) => cell.padStart(14)).join('')}\n`);
  }
}

function printMemory({ idleMb, residentMb }: RunnerTarget): void {
  const verdict = idleMb <= IDLE_MB ? '' : ', not met';
  const memory = `${idleMb.toFixed(0)} idle, ${residentMb.toFixed(0)} after all that`;
  process.stdout.write(`\ncontrol plane, MB resident: ${memory}; wanted <= ${IDLE_MB} idle${verdict}\n`);
}

function short(value: number): string {
  return value < 100 ? value.toFixed(2) : value.toFixed(0);
}
