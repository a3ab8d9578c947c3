import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MemorySessionStore } from '../../test/support/memory-session-store.js';
import { SessionDirectory } from '../mcp/sessions/session-directory.js';
import { LiveSessions } from './live-sessions.js';
import { sessionHandleOf } from './session-handle.js';
import { UpstreamProxy } from './upstream-proxy.js';

const STATE = { initialize: {}, protocolVersion: '2025-11-25', logLevel: undefined, subscriptions: [] };

let directory: SessionDirectory;
let store: MemorySessionStore;
let live: LiveSessions;
let closed: string[];
let faults: unknown[];

beforeEach(() => {
  directory = new SessionDirectory(() => 1_000_000);
  store = new MemorySessionStore();
  faults = [];
  live = new LiveSessions(directory, store, new UpstreamProxy(() => undefined), (error) =>
    faults.push(error),
  );
  closed = [];
});

/** Opens a session and gives its id. */
function open(deploymentId: string, inFlight = 0, connected = false, hasPlace = true): string {
  const id = SessionDirectory.newId();
  const owner = { deploymentId, principal: 'key_1' };
  const close = (): Promise<void> => Promise.resolve(void closed.push(id));
  if (hasPlace) directory.reserve(deploymentId, 16);
  directory.add(id, owner, { inFlight, connected, close }, hasPlace);
  store.save({ id, owner, state: STATE } as unknown as Parameters<MemorySessionStore['save']>[0], 1_000_000);
  return id;
}

describe('the live sessions of a deployment', () => {
  it('are listed under handles that do not tell their ids', () => {
    const [first, second] = [open('dp_a', 2, true), open('dp_a', 0, false, false)];
    open('dp_b', 7);
    expect(live.list('dp_a')).toEqual([
      {
        handle: sessionHandleOf(first),
        callsInFlight: 2,
        isConnected: true,
        hasProcess: true,
        lastUsedAt: 1_000_000,
      },
      {
        handle: sessionHandleOf(second),
        callsInFlight: 0,
        isConnected: false,
        hasProcess: false,
        lastUsedAt: 1_000_000,
      },
    ]);
    expect(live.count('dp_a')).toEqual({ sessions: 1, callsInFlight: 2 });
    expect(JSON.stringify(live.list('dp_a'))).not.toContain(first.slice(0, 12));
    expect(live.list('dp_none')).toEqual([]);
  });

  it('are ended for good, one at a time, and only with their own deployment', async () => {
    const [first, second] = [open('dp_a'), open('dp_a')];
    expect(await live.end('dp_b', sessionHandleOf(first))).toBe(false);
    expect(await live.end('dp_a', first)).toBe(false);
    expect(closed).toEqual([]);
    expect(await live.end('dp_a', sessionHandleOf(first))).toBe(true);
    expect(closed).toEqual([first]);
    expect([...store.sessions.keys()]).toEqual([second]);
    expect(live.count('dp_a').sessions).toBe(1);
    expect(await live.end('dp_a', sessionHandleOf(first))).toBe(false);
  });

  it('are ended also where the database cannot be told', async () => {
    const id = open('dp_a');
    const fault = new Error('locked');
    vi.spyOn(store, 'remove').mockImplementation(() => {
      throw fault;
    });
    expect(await live.end('dp_a', sessionHandleOf(id))).toBe(true);
    expect(closed).toEqual([id]);
    expect(faults).toEqual([fault]);
  });
});
