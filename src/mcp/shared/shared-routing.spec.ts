import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../test/support/seeded-random.js';
import type { ReadMessage, ScriptedProcess } from '../../../test/support/scripted-process.js';
import { handshakeServer, startShared } from '../../../test/support/shared-clients.js';

const ROUNDS = 1000;

function report(progressToken: unknown, message = ''): object {
  return {
    jsonrpc: '2.0',
    method: 'notifications/progress',
    params: { progressToken, progress: 1, message },
  };
}

function cancel(requestId: number | string): object {
  return { requestId, reason: 'enough' };
}

describe('two sessions with identical ids and tokens', () => {
  it('get their own answers and progress and nothing else, over 1,000 interleaved rounds', () => {
    const next = seededRandom(7);
    const below = (n: number): number => Math.floor(next() * n);
    /** Calls that the server has not finished: it reports once, then answers, in any order. */
    const open: { call: ReadMessage; reported: boolean }[] = [];
    const { process, join } = startShared(handshakeServer((call) => open.push({ call, reported: false })));
    const clients = [join(), join()];
    open.length = 0;
    const step = (server: ScriptedProcess): void => {
      const at = below(open.length);
      const work = open[at];
      if (!work) return;
      const { id, params } = work.call;
      const label = params?.['label'];
      if (work.reported) {
        open.splice(at, 1);
        server.say({ jsonrpc: '2.0', id, result: { label } });
      } else {
        work.reported = true;
        const meta = params?.['_meta'] as { progressToken: number } | undefined;
        server.say(report(meta?.progressToken, String(label)));
      }
    };
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, client] of clients.entries()) {
        void client.call(1, 'tools/call', { label: `${name}/${round}`, _meta: { progressToken: 't' } });
      }
      for (let n = below(8); n > 0; n--) step(process);
    }
    while (open.length > 0) step(process);

    for (const [name, client] of clients.entries()) {
      const labels = Array.from({ length: ROUNDS }, (_, round) => `${name}/${round}`).sort();
      const answers = client.heard.filter(({ result }) => result);
      const reports = client.heard.filter(({ method }) => method === 'notifications/progress');
      expect(answers.map(({ result }) => String(result?.['label'])).sort()).toEqual(labels);
      expect(reports.map(({ params }) => String(params?.['message'])).sort()).toEqual(labels);
      expect(answers.every(({ id }) => id === 1)).toBe(true);
      expect(reports.every(({ params }) => params?.['progressToken'] === 't')).toBe(true);
      expect(client.heard).toHaveLength(2 * ROUNDS);
    }
  });
});

describe('what the server answers', () => {
  it('to ids that nobody asked, or twice, ends here; ids are never used again', () => {
    const { process, join } = startShared();
    const [one, two] = [join(), join()];
    void one.call(1);
    const id = process.read.at(-1)?.id as number;
    const answer = { jsonrpc: '2.0', id, result: { n: 1 } };
    process.say(
      answer,
      answer,
      { ...answer, id: 999 },
      { ...answer, id: String(id) },
      { ...answer, id: null },
    );
    process.say({ jsonrpc: '2.0', id: 1, result: {} });
    expect(one.heard).toEqual([{ jsonrpc: '2.0', id: 1, result: { n: 1 } }]);
    expect(two.heard).toEqual([]);
    void two.call(1);
    expect(process.read.at(-1)?.id).toBe(id + 1);
  });

  it('passes to the character but for the id, and so does what it is asked', () => {
    const { process, join } = startShared();
    const client = join();
    const texts: string[] = [];
    client.channel.open({ message: ({ text }) => void texts.push(text), closed: () => undefined });
    void client.channel.send(
      '{"params": {"n":1.0,"big":12345678901234567890},"id":"me","jsonrpc":"2.0","method":"x/y"}',
    );
    const id = String(process.read.at(-1)?.id);
    expect(process.lines.at(-1)).toBe(
      `{"params": {"n":1.0,"big":12345678901234567890},"id":${id},"jsonrpc":"2.0","method":"x/y"}`,
    );
    process.say(`{"result": {"n":1.0},  "id":${id}, "jsonrpc":"2.0"}`);
    expect(texts).toEqual(['{"result": {"n":1.0},  "id":"me", "jsonrpc":"2.0"}']);
  });
});

describe('progress', () => {
  it('goes to nobody when nobody asked, after the answer, and under what is no token of ours', () => {
    const { process, server, join } = startShared();
    const client = join();
    void client.call(1, 'tools/call', { _meta: { progressToken: 5 } });
    void client.call(2);
    const [asked, silent] = process.read.slice(-2).map(({ id }) => id);
    process.say({ jsonrpc: '2.0', id: asked, result: {} });
    client.news();
    process.say(...[asked, silent, 5, 'x', null, undefined].map((token) => report(token)));
    expect(client.heard).toEqual([]);
    expect(server.dropped).toBe(6);
  });

  it("of a client goes to the server for the server's own request to it, and for no other", () => {
    const { process, join } = startShared();
    const [one, two] = [join(), join()];
    void one.call(1);
    process.say({
      jsonrpc: '2.0',
      id: 'q',
      method: 'elicitation/create',
      params: { _meta: { progressToken: 'p' } },
    });
    const before = process.lines.length;
    for (const client of [two, one]) {
      client.notify('notifications/progress', { progressToken: 'p', progress: 1 });
      client.notify('notifications/progress', { progressToken: 'other', progress: 1 });
    }
    expect(process.read.slice(before)).toMatchObject([{ params: { progressToken: 'p' } }]);
  });
});

describe('cancellation', () => {
  it('names our id to the server, only for the own request, and the late answer is dropped', () => {
    const { process, join } = startShared();
    const [one, two] = [join(), join()];
    void one.call(1);
    const id = process.read.at(-1)?.id;
    const before = process.lines.length;
    two.notify('notifications/cancelled', cancel(1));
    one.notify('notifications/cancelled', cancel(2));
    one.notify('notifications/cancelled', cancel('1'));
    one.notify('notifications/cancelled');
    expect(process.lines).toHaveLength(before);
    one.notify('notifications/cancelled', cancel(1));
    one.notify('notifications/cancelled', cancel(1));
    expect(process.read.slice(before)).toEqual([
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id, reason: 'enough' } },
    ]);
    process.say({ jsonrpc: '2.0', id, result: {} });
    expect(one.heard).toEqual([]);
  });
});

describe('notifications', () => {
  it('of changed lists go to every session whose handshake is over', () => {
    const { process, join, server } = startShared();
    const [one, two] = [join(), join()];
    const silent = server.open();
    const texts: string[] = [];
    silent.open({ message: ({ text }) => void texts.push(text), closed: () => undefined });
    const methods = ['tools', 'prompts', 'resources'].map((what) => `notifications/${what}/list_changed`);
    for (const method of methods) process.say({ jsonrpc: '2.0', method });
    expect([one.methods(), two.methods()]).toEqual([methods, methods]);
    expect(texts).toEqual([]);
  });

  it('that nobody knows go to the one session with a request in flight, or to nobody', () => {
    const { process, join, server } = startShared();
    const [one, two] = [join(), join()];
    const unknown = { jsonrpc: '2.0', method: 'notifications/x/unknown', params: { a: 1 } };
    process.say(unknown);
    void one.call(1);
    process.say(unknown, { jsonrpc: '2.0', method: 'notifications/tasks/status' });
    void two.call(1);
    process.say(unknown);
    expect(one.heard).toEqual([unknown]);
    expect(two.heard).toEqual([]);
    expect(server.dropped).toBe(3);
  });

  it('of a client pass, but for those that concern one client alone', () => {
    const { process, join } = startShared();
    const client = join();
    const before = process.lines.length;
    for (const method of ['initialized', 'roots/list_changed', 'tasks/status', 'x/unknown']) {
      client.notify(`notifications/${method}`);
    }
    expect(process.read.slice(before)).toMatchObject([{ method: 'notifications/x/unknown' }]);
  });
});
