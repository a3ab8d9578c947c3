import { beforeEach, describe, expect, it } from 'vitest';
import type { ReasonCode, Status } from './deployment.js';
import { DeploymentEvents } from './deployment-events.js';
import { type StartTimes, StartWatch } from './start-watch.js';

let events: DeploymentEvents;
let watch: StartWatch;
let told: string[];

beforeEach(() => {
  events = new DeploymentEvents();
  told = [];
  watch = new StartWatch(events);
  watch.observe({
    began: ({ deploymentId, kind }) => told.push(`${deploymentId} ${kind}`),
    ended: ({ deploymentId, kind }, end, { seconds }) => {
      expect(seconds).toBeGreaterThanOrEqual(0);
      expect(seconds).toBeLessThan(60);
      told.push(`${deploymentId} ${kind} ${end}`);
    },
  });
});

function move(from: Status, to: Status | 'deleted', code: ReasonCode, deploymentId = 'a'): void {
  events.emit({ deploymentId, from, to, code });
}

describe('a start', () => {
  it.each([
    ['pending', 'in_progress', 'start'],
    ['paused', 'requested', 'start'],
    ['failed', 'requested', 'start'],
    ['paused', 'waking', 'wake'],
    ['pausing', 'waking', 'wake'],
    ['running', 'requested', 'restart'],
    ['running', 'sandbox_gone', 'recovery'],
    ['running', 'out_of_memory', 'recovery'],
    ['running', 'adopting', 'adoption'],
  ] as const)('from %s because of %s is a %s', (from, code, kind) => {
    move(from, 'starting', code);
    move('starting', 'running', 'ready');
    expect(told).toEqual([`a ${kind}`, `a ${kind} ready`]);
  });

  it('ends with why it failed, or with what came in between', () => {
    move('pending', 'starting', 'in_progress');
    move('starting', 'failed', 'image_not_found');
    move('failed', 'starting', 'requested');
    move('starting', 'pausing', 'requested');
    move('pausing', 'starting', 'waking');
    move('starting', 'deleting', 'requested');
    move('deleting', 'deleted', 'requested');
    expect(told.filter((line) => line.split(' ').length === 3)).toEqual([
      'a start image_not_found',
      'a start superseded',
      'a wake superseded',
    ]);
  });

  it('is none of another deployment, and what began before anybody watched is none', () => {
    move('starting', 'running', 'ready');
    move('paused', 'starting', 'waking');
    move('paused', 'starting', 'requested', 'b');
    move('starting', 'running', 'ready', 'b');
    move('starting', 'running', 'ready');
    expect(told).toEqual(['a wake', 'b start', 'b start ready', 'a wake ready']);
  });

  it('is timed in two parts: until the sandbox runs, and all of it', () => {
    const times: StartTimes[] = [];
    watch.observe({ ended: (_start, _end, took) => times.push(took) });
    move('pending', 'starting', 'in_progress');
    const before = performance.now();
    while (performance.now() < before + 20);
    watch.sandboxRuns('a');
    while (performance.now() < before + 40);
    move('starting', 'running', 'ready');
    move('paused', 'starting', 'waking');
    watch.sandboxRuns('b');
    move('starting', 'failed', 'image_not_found');
    const [whole, without] = times;
    expect(whole?.sandboxSeconds).toBeGreaterThanOrEqual(0.02);
    expect(whole?.seconds).toBeGreaterThanOrEqual((whole?.sandboxSeconds ?? 0) + 0.01);
    expect(without?.sandboxSeconds).toBeUndefined();
  });
});
