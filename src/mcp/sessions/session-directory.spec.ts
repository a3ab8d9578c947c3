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

/** Goes on without its process; in the store. */
class DurableSession extends FakeSession {
  readonly isKept = true;
  sleeps: string[] = [];
  rejoins = 0;
  constructor(private readonly vacate: () => void) {
    super();
  }
  sleep(why: string): Promise<void> {
    this.sleeps.push(why);
    this.vacate();
    return Promise.resolve();
  }
  rejoin(): Promise<void> {
    this.rejoins++;
    return Promise.reject(new Error('no process to be had'));
  }
}

function startDurable(limit = 2) {
  const clock = { now: 1_000_000 };
  const sessions = new SessionDirectory<DurableSession>(() => clock.now);
  const open = (id: string, hasPlace = true): DurableSession => {
    if (hasPlace) sessions.reserve('dp_a', limit);
    const session = new DurableSession(() => sessions.vacate(id));
    sessions.add(id, owner, session, hasPlace);
    return session;
  };
  const stopIdle = (minutes = 10): Promise<void> => sessions.stopIdle(() => minutes * MINUTE);
  return { clock, sessions, open, stopIdle };
}

describe('a session that outlives its process', () => {
  it('goes on with another without a request where its client listens, and it has none', async () => {
    const { sessions, open } = startDurable(4);
    const [listening, silent, awake] = [open('listening'), open('silent'), open('awake')];
    for (const session of [listening, awake]) session.connected = true;
    await Promise.all([listening.sleep('paused'), silent.sleep('paused')]);
    await sessions.rejoin('dp_b');
    expect(listening.rejoins).toBe(0);
    await sessions.rejoin('dp_a');
    expect([listening, silent, awake].map(({ rejoins }) => rejoins)).toEqual([1, 0, 0]);
  });

  it('keeps its process however idle where idle is told to be for ever', async () => {
    const { clock, sessions, open } = startDurable();
    const [listening, silent] = [open('listening'), open('silent')];
    listening.connected = true;
    clock.now += 60 * MINUTE;
    await sessions.stopIdle((_id, connected) => (connected ? Infinity : MINUTE));
    expect([listening, silent].map(({ sleeps }) => sleeps.length)).toEqual([0, 1]);
  });

  it('loses it when unused for as long as its deployment allows, and is forgotten when it had none for as long', async () => {
    const { clock, sessions, open, stopIdle } = startDurable();
    const session = open('s');
    clock.now += 10 * MINUTE - 1;
    await stopIdle();
    expect(session.sleeps).toEqual([]);
    clock.now += 1;
    await stopIdle();
    expect(session.sleeps).toEqual(['The session was idle']);
    expect([sessions.count('dp_a'), sessions.size]).toEqual([0, 1]);
    clock.now += 10 * MINUTE - 1;
    await stopIdle();
    expect(sessions.size).toBe(1);
    clock.now += 1;
    await stopIdle();
    expect([sessions.size, session.sleeps.length, session.closed]).toEqual([0, 1, 0]);
  });

  it('keeps its process while it is at work or in use, and is remembered while its client is connected or it is nowhere else', async () => {
    const { clock, sessions, open, stopIdle } = startDurable(4);
    const [busy, used, connected, lost] = [open('busy'), open('used'), open('connected'), open('lost')];
    busy.inFlight = 1;
    connected.connected = true;
    Object.assign(lost, { isKept: false });
    for (let round = 0; round < 3; round++) {
      clock.now += 10 * MINUTE;
      sessions.find('used', owner);
      await stopIdle();
    }
    expect([busy, used, connected, lost].map(({ sleeps }) => sleeps.length)).toEqual([0, 0, 1, 1]);
    expect([sessions.size, sessions.count('dp_a')]).toEqual([4, 2]);
  });

  it('takes a place again for its next process, once, and none beyond the limit', () => {
    const { sessions, open } = startDurable(1);
    open('a');
    sessions.occupy('a', 1);
    expect(sessions.count('dp_a')).toBe(1);
    sessions.vacate('a');
    sessions.vacate('a');
    expect(sessions.count('dp_a')).toBe(0);
    open('b');
    expect(() => sessions.occupy('a', 1)).toThrow(expect.objectContaining({ code: 'session_limit' }));
    expect(sessions.count('dp_a')).toBe(1);
    sessions.remove('a');
    sessions.remove('b');
    sessions.occupy('a', 1);
    expect([sessions.count('dp_a'), sessions.size]).toEqual([0, 0]);
  });

  it('gives its process away to another after 10 minutes though its client is connected, and stays', () => {
    const { clock, sessions, open } = startDurable(1);
    const session = open('a');
    session.connected = true;
    clock.now += 10 * MINUTE;
    open('b');
    expect([session.sleeps.length, session.closed, sessions.count('dp_a')]).toEqual([1, 0, 1]);
    expect(sessions.find('a', owner)).toBe(session);
  });

  it('sleeps when all processes of its deployment are stopped, while one that cannot ends', async () => {
    const { sessions, open } = startDurable();
    const session = open('a');
    const other = new FakeSession();
    sessions.reserve('dp_a', 2);
    sessions.add('b', owner, other as DurableSession);
    await sessions.stopAll('gone', 'dp_b');
    expect(session.sleeps).toEqual([]);
    await sessions.stopAll('gone', 'dp_a');
    expect([session.sleeps, session.closed, other.closed]).toEqual([['gone'], 0, 1]);
    expect([sessions.count('dp_a'), sessions.size]).toEqual([0, 1]);
  });

  it('expires though its client is connected, because it does in its store', async () => {
    const { clock, sessions, open } = startDurable();
    const session = open('a', false);
    session.connected = true;
    clock.now += DAY + 1;
    await sessions.expire();
    expect([session.closed, sessions.size]).toEqual([1, 0]);
  });
});
