import { describe, expect, it } from 'vitest';
import { SessionDirectory } from './session-directory.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const owner = { deploymentId: 'dp_a', principal: 'key_1' };

class FakeSession {
  inFlight = 0;
  connected = false;
  closed = 0;
  close(): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }
}

function start(limit = 2) {
  const clock = { now: 1_000_000 };
  const sessions = new SessionDirectory<FakeSession>(() => clock.now);
  const open = (id: string, who = owner): FakeSession => {
    sessions.reserve(who.deploymentId, limit);
    const session = new FakeSession();
    sessions.add(id, who, session);
    return session;
  };
  return { clock, sessions, open };
}

describe('SessionDirectory', () => {
  it('gives ids of visible ASCII, never the same', () => {
    const ids = Array.from({ length: 100 }, () => SessionDirectory.newId());
    expect(new Set(ids).size).toBe(100);
    for (const id of ids) expect(id).toMatch(/^[\x21-\x7e]{43}$/);
  });

  it('finds a session for its owner and for nobody else', () => {
    const { sessions, open } = start();
    const session = open('s');
    expect(sessions.find('s', { ...owner })).toBe(session);
    expect(sessions.find('s', { ...owner, principal: 'key_2' })).toBeUndefined();
    expect(sessions.find('s', { ...owner, deploymentId: 'dp_b' })).toBeUndefined();
    expect(sessions.find('__proto__', owner)).toBeUndefined();
  });

  it('finds a session for its own edge and for no other', () => {
    class OtherSession extends FakeSession {}
    const { sessions, open } = start();
    const session = open('s');
    expect(sessions.find('s', owner, FakeSession)).toBe(session);
    expect(sessions.find('s', owner, OtherSession)).toBeUndefined();
  });

  it('counts places of sessions that are open or being opened, per deployment', () => {
    const { sessions, open } = start();
    open('s');
    sessions.reserve('dp_a', 2);
    expect(() => sessions.reserve('dp_a', 2)).toThrow('maxSessions');
    open('t', { ...owner, deploymentId: 'dp_b' });
    sessions.release('dp_a');
    sessions.reserve('dp_a', 2);
    expect([sessions.count('dp_a'), sessions.count('dp_b'), sessions.count('dp_c')]).toEqual([2, 1, 0]);
  });

  it('says when to come again when all places are taken', () => {
    const { sessions, open } = start(1);
    open('s');
    expect(() => sessions.reserve('dp_a', 1)).toThrow(
      expect.objectContaining({ code: 'session_limit', status: 503, retryAfterSeconds: 10 }),
    );
  });

  it('gives the place of the session unused longest to a new one, after 10 minutes', () => {
    const { clock, sessions, open } = start();
    const [a, b] = [open('a'), open('b')];
    clock.now += MINUTE;
    sessions.find('a', owner);
    clock.now += 9 * MINUTE;
    expect(() => open('c')).not.toThrow();
    expect([a.closed, b.closed]).toEqual([0, 1]);
    expect(sessions.count('dp_a')).toBe(2);
    expect(() => open('d')).toThrow('maxSessions');
  });

  it('never gives away a session at work, nor one that answered just now', () => {
    const { clock, sessions, open } = start(1);
    const session = open('a');
    session.inFlight = 1;
    clock.now += 60 * MINUTE;
    expect(() => open('b')).toThrow('maxSessions');
    session.inFlight = 0;
    sessions.touch('a');
    expect(() => open('b')).toThrow('maxSessions');
    clock.now += 10 * MINUTE;
    expect(() => open('b')).not.toThrow();
  });

  it('never gives away a session whose client is connected, and never lets it expire', async () => {
    const { clock, sessions, open } = start(1);
    const session = open('a');
    session.connected = true;
    clock.now += 2 * DAY;
    expect(() => open('b')).toThrow('maxSessions');
    await sessions.expire();
    expect(session.closed).toBe(0);
    session.connected = false;
    expect(() => open('b')).not.toThrow();
    expect(session.closed).toBe(1);
  });

  it('closes what nobody has used for a day, also at work, but nothing whose client is connected', async () => {
    const { clock, sessions, open } = start(4);
    const [idle, busy, used, held] = [open('idle'), open('busy'), open('used'), open('held')];
    held.connected = true;
    busy.inFlight = 1;
    clock.now += DAY;
    sessions.find('used', owner);
    await sessions.expire();
    expect(idle.closed).toBe(0);
    clock.now += 1;
    await sessions.expire();
    expect([idle.closed, busy.closed, used.closed, held.closed]).toEqual([1, 1, 0, 0]);
    expect(sessions.find('idle', owner)).toBeUndefined();
    expect(sessions.count('dp_a')).toBe(2);
  });

  it('closes all sessions of one deployment, then all there are, and keeps no count', async () => {
    const { sessions, open } = start();
    const a = open('a');
    const b = open('b', { ...owner, deploymentId: 'dp_b' });
    await sessions.closeAll('dp_a');
    expect([a.closed, b.closed]).toEqual([1, 0]);
    await sessions.closeAll();
    expect([a.closed, b.closed]).toEqual([1, 1]);
    sessions.remove('a');
    expect([sessions.count('dp_a'), sessions.count('dp_b')]).toEqual([0, 0]);
  });
});
