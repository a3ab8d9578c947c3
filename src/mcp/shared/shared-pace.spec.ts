import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SharedClient, startShared } from '../../../test/support/shared-clients.js';

const CHANGED = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
const MEGABYTE = 'x'.repeat(1 << 20);

/** Promises, not timers. */
async function settle(): Promise<void> {
  for (let n = 0; n < 10; n++) await Promise.resolve();
}

/** A slow session with a call in flight, and another one. */
function start() {
  const shared = startShared();
  const [slow, other] = [shared.join(), shared.join()];
  slow.slow = true;
  void slow.call(1, 'tools/call', { _meta: { progressToken: 1 } });
  const progressToken = shared.process.read.at(-1)?.id;
  const progress = (message = MEGABYTE): void =>
    shared.process.say({
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken, message },
    });
  return { ...shared, slow, other, progress };
}

describe('a session that takes its messages slowly', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('gets them in order and one at a time, while the others get theirs at once', async () => {
    const { process, slow, other } = start();
    for (let n = 0; n < 20; n++) process.say({ ...CHANGED, params: { n } });
    expect([slow.heard.length, other.heard.length]).toEqual([1, 20]);
    for (let n = 0; n < 20; n++) {
      slow.takes.shift()?.();
      await settle();
    }
    expect(slow.heard.map(({ params }) => params?.['n'])).toEqual(Array.from({ length: 20 }, (_, n) => n));
    expect(process.paused).toBe(false);
  });

  it('holds the process back when much waits for it, until there is room again', async () => {
    const { process, slow, other, progress } = start();
    for (let n = 0; n < 20; n++) progress();
    process.say(CHANGED);
    // One is being taken, four megabytes may wait, and one is above that.
    expect(process.waiting).toBe(16);
    vi.advanceTimersByTime(9000);
    expect(other.heard).toEqual([]);
    for (let n = 0; n < 30; n++) {
      slow.takes.shift()?.();
      await settle();
    }
    expect(slow.heard).toHaveLength(21);
    expect(other.heard).toHaveLength(1);
    expect(slow.closings).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is ended when it has been behind for ten seconds and holds the process back', async () => {
    const { process, server, slow, other, progress } = start();
    for (let n = 0; n < 20; n++) progress();
    process.say(CHANGED);
    // It trickles, but never catches up.
    for (let seconds = 0; seconds < 9; seconds++) {
      vi.advanceTimersByTime(1000);
      slow.takes.shift()?.();
      await settle();
    }
    expect(slow.closings).toEqual([]);
    vi.advanceTimersByTime(1000);
    await settle();
    const message =
      'The client took its messages too slowly: the other sessions of the server process waited for 10 s';
    expect(slow.closings).toEqual([{ cause: 'ended', message }]);
    await settle();
    expect(other.heard).toEqual([CHANGED]);
    expect([process.waiting, process.paused, server.size]).toEqual([0, false, 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not ended for being slow when it holds up nobody', () => {
    const { slow, progress } = start();
    for (let n = 0; n < 4; n++) progress();
    vi.advanceTimersByTime(3_600_000);
    expect(slow.closings).toEqual([]);
  });

  it('waits when what is answered here piles up, and is ended as well', async () => {
    const { slow } = start();
    let sent: Promise<void> | undefined;
    for (let n = 0; n < 100_000 && !sent; n++) {
      sent = slow.call(n, 'logging/setLevel', { level: 'none' });
    }
    expect(sent).toBeInstanceOf(Promise);
    vi.advanceTimersByTime(10_000);
    await sent;
    expect(slow.closings).toHaveLength(1);
  });
});

describe('a server that does not read', () => {
  it('makes those wait who send to it, and what they sent goes with them when they leave', async () => {
    const { process, join } = startShared();
    const [one, two] = [join(), join()];
    process.hasRoom = false;
    const filling = one.call('fills');
    const ofOne = one.call('of one');
    const ofTwo = two.call(1, 'tools/call', { name: 'of two' });
    expect(process.read.at(-1)?.method).toBe('tools/call');
    const before = process.lines.length;
    void one.channel.close();
    await ofOne;
    expect(process.lines).toHaveLength(before);
    process.drain();
    await filling;
    await ofTwo;
    await expect
      .poll(() => process.read.slice(before).map(({ method, params }) => params?.['name'] ?? method))
      .toEqual(['of two', 'notifications/cancelled', 'notifications/cancelled']);
  });

  it('and asks without end is ended', () => {
    const { process, join } = startShared();
    const client = join();
    process.hasRoom = false;
    void client.call(1, 'ping');
    for (let n = 0; n < 40_000; n++) {
      process.sayBytes(Buffer.from(`{"jsonrpc":"2.0","id":${n},"method":"roots/list"}\n`));
    }
    expect(client.closings).toMatchObject([
      { cause: 'violated', message: 'The server does not read its stdin' },
    ]);
  });

  it('when it goes makes nobody wait', async () => {
    const { process, server, join } = startShared();
    const one = join();
    process.hasRoom = false;
    const sent = one.call(1);
    const behind = one.call(2);
    process.exit(1);
    await sent;
    await behind;
    expect(new SharedClient(server).closings).toHaveLength(1);
  });
});

describe('requests in flight', () => {
  it('are bounded over the process', () => {
    const { join } = startShared();
    const clients = Array.from({ length: 2 }, () => join());
    for (let n = 0; n < 5001; n++) for (const client of clients) void client.call(n);
    for (const client of clients) {
      expect(client.heard).toMatchObject([{ id: 5000, error: { code: -32000 } }]);
    }
  });
});
