import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callText, tokenOf, withClient } from '../support/client.js';
import { answerText } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { openSession, postUnread, processesIn, residentMb, Witness } from '../support/hostile-ground.js';
import { type Deployment, Service } from '../support/service.js';
import { findLeftovers } from '../support/service-leftovers.js';

/** Of a message, in either direction. */
const LIMIT_BYTES = 16 * 1024 * 1024;
/** What the control plane may take beyond what it had: some messages of the largest size, and what V8 has not freed yet. */
const ROOM_MB = 256;

function call(name: string, args: Record<string, unknown>): object {
  return { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } };
}

/** The sandbox of each deployment holds a spare and the witness's server, and at the end nothing else. */
describe('a server that breaks every rule', () => {
  let service: Service;
  let deployment: Deployment;
  let noisy: Deployment;
  let mute: Deployment;
  let witness: Witness;
  let neighbour: Witness;
  let memoryMb: number;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    [deployment, noisy, mute] = await Promise.all([
      service.deploy({ image }),
      service.deploy({ image, args: ['--garbage'] }),
      service.deploy({ image, args: ['--mute-later'], warmProcesses: 0, startTimeoutSeconds: 8 }),
    ]);
    [witness, neighbour] = await Promise.all([Witness.in(deployment), Witness.in(noisy)]);
    memoryMb = residentMb(service);
  });

  afterAll(() => service.stop());

  async function nothingElseHappened(): Promise<void> {
    await Promise.all([witness.isUndisturbed(), neighbour.isUndisturbed()]);
    expect((await service.get(deployment.id)).status).toBe('running');
    await expect.poll(() => processesIn(deployment), { timeout: 30_000 }).toHaveLength(2);
    expect(residentMb(service) - memoryMb).toBeLessThan(ROOM_MB);
  }

  /** By the flood of this label, in whatever process. */
  async function messagesWritten(label: string): Promise<number> {
    return Number(await witness.read('flood_count', { label }));
  }

  async function processesWith(label: string): Promise<string[]> {
    return (await processesIn(deployment)).filter((line) => line.includes(label));
  }

  describe('on stdout', () => {
    afterEach(nothingElseHappened);

    it('prints other things around its messages, and is understood all the same', async () => {
      await withClient(noisy, async (client) => {
        expect((await client.listTools()).tools.length).toBeGreaterThan(10);
        const text = 'x'.repeat(100_000);
        expect(await callText(client, 'echo', { text })).toBe(text);
      });
      const client = await openSession(noisy);
      const [last] = (await client.call(1, 'exit', { code: 1 })).messages;
      expect(last?.error?.message).toContain('stdout: npm warn not json');
    });

    it('prints JSON that is no JSON-RPC: it is left out, and named when the server ends', async () => {
      const client = await openSession(deployment);
      const lines = [
        '{"hello":"world"}',
        '[]',
        '[1,[2]]',
        '"text"',
        'null',
        '{"jsonrpc":"2.0"}',
        '{"jsonrpc":"1.0","id":1,"result":{}}',
        '{"jsonrpc":"2.0","id":{},"result":{}}',
        '{"jsonrpc":"2.0","method":7}',
        '['.repeat(100_000),
        '{"jsonrpc":"2.0","method":"\\ud800',
      ];
      const answer = await client.call(1, 'print', { lines });
      expect(answer.messages).toHaveLength(1);
      expect(answerText(answer)).toBe(`${lines.length} lines written`);
      const [last] = (await client.call(2, 'exit', { code: 1 })).messages;
      expect(last?.error?.message).toContain('stdout: {"hello":"world"}');
    });

    it('prints nothing but rubbish: it is ended, with the reason', async () => {
      const client = await openSession(deployment);
      const answer = await client.call(1, 'print', { lines: Array.from({ length: 1001 }, () => 'rubbish') });
      expect(answer.messages.at(-1)?.error?.message).toMatch(/1000 lines in a row[^]*stdout: rubbish/);
    });

    it('answers what nobody asked, and what was answered already: neither reaches the client', async () => {
      const client = await openSession(deployment);
      const ids = ['999999', '-1', '1.5', 'null', '"1"', '"__proto__"', '1e3', '99999999999999999999'];
      const lines = ids.flatMap((id) => [
        `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"stray"}]}}`,
        `{"jsonrpc":"2.0","id":${id},"error":{"code":-1,"message":"stray"}}`,
      ]);
      const printed = await client.call('a', 'print', { lines });
      expect(printed.messages.map(({ id }) => id)).toEqual(['a']);
      expect(answerText(printed)).toBe(`${lines.length} lines written`);
      const twice = await client.call('b', 'answer_twice');
      expect(twice.messages.map(({ id }) => id)).toEqual(['b']);
      expect(answerText(twice)).toBe('first');
      expect(answerText(await client.call('c', 'echo', { text: 'still here' }))).toBe('still here');
      await client.end();
    });

    it('writes a line that never ends: it is ended at the limit of a message, which the client is told', async () => {
      const client = await openSession(deployment);
      const answer = await client.call(1, 'endless_line');
      expect(answer.messages.at(-1)?.error?.message).toContain(`more than ${LIMIT_BYTES} bytes`);
    });

    it('floods a client that does not read: it has to wait, and goes on when the client reads', async () => {
      const client = await openSession(deployment);
      const flood = await postUnread(client, tokenOf(deployment), call('flood', { label: 'unread' }));
      let stalledAt = -1;
      const standsStill = async (): Promise<boolean> => {
        const before = stalledAt;
        stalledAt = await messagesWritten('unread');
        return stalledAt > 0 && stalledAt === before;
      };
      await expect.poll(standsStill, { timeout: 20_000, interval: 1000 }).toBe(true);
      // What lies between the two are the buffers of the sandbox, the engine, the control plane and the sockets.
      expect(stalledAt / 1024).toBeLessThan(64);
      expect(residentMb(service) - memoryMb).toBeLessThan(ROOM_MB);
      flood.resume();
      await expect.poll(() => messagesWritten('unread'), { timeout: 20_000 }).toBeGreaterThan(stalledAt);
      flood.destroy();
      expect(await client.end()).toBe(200);
    });
  });

  describe('elsewhere', () => {
    afterEach(nothingElseHappened);

    it('floods stderr: the call is answered, and the session goes on', async () => {
      const client = await openSession(deployment);
      expect(answerText(await client.call(1, 'stderr_flood', { megabytes: 64 }))).toBe('64 MB written');
      expect(answerText(await client.call(2, 'session_counter'))).toBe('1');
      await client.end();
    });

    it('ignores the end of stdin and SIGTERM, as do its children: all of them are ended with the session', async () => {
      const client = await openSession(deployment);
      await client.call(1, 'fork', { label: 'stubborn' });
      await client.call(2, 'deafen');
      expect(await processesWith('stubborn')).toHaveLength(2);
      expect(await client.end()).toBe(200);
      await expect.poll(() => processesWith('stubborn'), { timeout: 30_000 }).toEqual([]);
    });

    it('exits in the middle of calls: each fails at once, with its exit code and its last words', async () => {
      const client = await openSession(deployment);
      await client.call(1, 'stderr', { lines: ['fixture: out of cheese'] });
      await client.call(2, 'fork', { label: 'left behind' });
      const pending = [1, 2].map((id) => client.call(id, 'slow', { ms: 60_000, label: 'pending' }));
      await client.call(3, 'session_counter');
      const answers = await Promise.all([client.call(4, 'exit', { code: 7 }), ...pending]);
      expect(answers.map(({ messages }) => messages.at(-1)?.id)).toEqual([4, 1, 2]);
      for (const { messages } of answers) {
        expect(messages.at(-1)?.error?.message).toMatch(/exited with code 7[^]*out of cheese/);
      }
    });

    it('exits again and again, each time after some work: the deployment does not wear out', async () => {
      for (let i = 0; i < 10; i++) {
        const session = await openSession(deployment);
        await session.call(1, 'session_counter');
        await session.call(2, 'exit', { code: 1 });
      }
      const next = await openSession(deployment);
      expect(answerText(await next.call(1, 'session_counter'))).toBe('1');
      await next.end();
    });

    it('never answers initialize: the client is told, with its last words, and nothing of it is left', async () => {
      await expect(openSession(mute)).rejects.toThrow(/waiting for a database that never comes/);
      await expect.poll(() => processesIn(mute), { timeout: 30_000 }).toEqual([]);
      expect((await service.get(mute.id)).status).toBe('running');
    });
  });

  it('leaves nothing on the machine when its deployments are deleted', async () => {
    const all = await Promise.all([deployment, noisy, mute].map(({ id }) => service.get(id)));
    expect(await findLeftovers(service, all)).not.toEqual([]);
    await Promise.all(all.map(({ id }) => service.delete(id)));
    expect(await findLeftovers(service, all)).toEqual([]);
  });
});
