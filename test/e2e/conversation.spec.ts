import {
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callText, newClient, tokenOf, withClient } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

interface WhoAmI {
  pid: number;
  uid: number;
  gid: number;
  args: string[];
  envNames: string[];
  home: string;
  writable: string[];
}

/** What an MCP session is made of, with a server that does it on request. */
describe('a conversation', () => {
  let service: Service;
  let image: string;
  let deployment: Deployment;

  beforeAll(async () => {
    image = await fixtureImage();
    service = await Service.start();
    deployment = await service.deploy({ image, env: { GREETING: 'hello' } });
  });

  afterAll(() => service.stop());

  it('each session has a server process of its own, which begins anew', async () => {
    const counts = [1, 2].map(() =>
      withClient(deployment, async (client) => {
        const { pid } = JSON.parse(await callText(client, 'whoami')) as WhoAmI;
        return {
          pid,
          counts: [await callText(client, 'session_counter'), await callText(client, 'session_counter')],
        };
      }),
    );
    const [one, two] = await Promise.all(counts);
    expect([one?.counts, two?.counts]).toEqual([
      ['1', '2'],
      ['1', '2'],
    ]);
    expect(one?.pid).not.toBe(two?.pid);
  });

  it('the server is the unprivileged user of its row, writes to HOME and /tmp only, and sees nothing of ours', async () => {
    const who = JSON.parse(await withClient(deployment, (client) => callText(client, 'whoami'))) as WhoAmI;
    expect(who).toMatchObject({
      uid: deployment.user.uid,
      gid: deployment.user.gid,
      home: '/home/mcp',
      args: [],
    });
    expect(who.writable).toEqual(['home', 'tmp']);
    expect(who.envNames).toContain('GREETING');
    expect(who.envNames.filter((name) => /API_KEY|DATA_DIR|SANDBOX|DOCKER|SENTRY/.test(name))).toEqual([]);
  });

  it('pings go through', async () => {
    await withClient(deployment, (client) => client.ping());
  });

  it('a change of the list of tools is heard, and the new tool can be called', async () => {
    const client = newClient();
    const heard = new Promise<void>((resolve) => {
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    });
    await withClient(
      deployment,
      async () => {
        await callText(client, 'add_tool', { name: 'brand_new' });
        await heard;
        expect(await callText(client, 'brand_new')).toBe('brand_new');
      },
      client,
    );
  });

  it('a watched resource reports a change until it is no longer watched', async () => {
    const uri = 'test://watched-resource';
    const client = newClient();
    const heard: string[] = [];
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      heard.push(params.uri);
    });
    await withClient(
      deployment,
      async () => {
        expect(await callText(client, 'touch_resource', { uri })).toBe('false');
        await client.subscribeResource({ uri });
        expect(await callText(client, 'touch_resource', { uri })).toBe('true');
        await expect.poll(() => heard).toEqual([uri]);
        await client.unsubscribeResource({ uri });
        expect(await callText(client, 'touch_resource', { uri })).toBe('false');
      },
      client,
    );
    expect(heard).toEqual([uri]);
  });

  it('a cancelled call is cancelled in the server', async () => {
    await withClient(deployment, async (client) => {
      const leaving = new AbortController();
      const call = client.callTool({ name: 'slow', arguments: { ms: 60_000, label: 'long' } }, undefined, {
        signal: leaving.signal,
      });
      // The call is in flight once a later one has been answered.
      await callText(client, 'session_counter');
      leaving.abort();
      await expect(call).rejects.toThrow();
      await expect.poll(() => callText(client, 'cancellations')).toBe('["long"]');
    });
  });

  it('a client that hangs up has not cancelled', async () => {
    const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await client.open();
    const leaving = new AbortController();
    const call = client.call(1, 'slow', { ms: 300, label: 'left' }, { signal: leaving.signal });
    await client.call(2, 'session_counter');
    leaving.abort();
    await expect(call).rejects.toThrow();
    expect(answerText(await client.call(3, 'slow', { ms: 400, label: 'stayed' }))).toBe('stayed done');
    expect(answerText(await client.call(4, 'cancellations'))).toBe('[]');
    await client.end();
  });

  it('the server learns that the client cannot be asked', async () => {
    await withClient(deployment, async (client) => {
      await expect(callText(client, 'ask', { label: 'x' })).rejects.toThrow('does not offer elicitation');
    });
  });

  it('a method that the server does not know is refused by the server', async () => {
    const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await client.open();
    const answer = await client.post({ jsonrpc: '2.0', id: 'x', method: 'no/such/method', params: {} });
    expect(answer.messages).toMatchObject([{ id: 'x', error: { code: -32601 } }]);
    await client.end();
  });

  it('fields that nobody has heard of pass in both directions', async () => {
    const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await client.open({ experimental: { future: { deep: [1, 2] } } });
    const meta = { traceparent: '00-1-2-03', 'example.com/future': { deep: [1, null, 'ü'] } };
    const { messages } = await client.post({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'meta', arguments: {}, _meta: meta, future: true },
    });
    expect(messages[0]?.result).toMatchObject({ _meta: meta, future: 'yes' });
    await client.end();
  });

  it('a client may leave without a word, and the next ones do not notice', async () => {
    for (let i = 0; i < 3; i++) {
      const leaving = new AbortController();
      const gone = new RawClient(deployment.urls.mcp, tokenOf(deployment));
      await gone.open();
      const call = gone.call(1, 'slow', { ms: 60_000, label: 'never' }, { signal: leaving.signal });
      leaving.abort();
      await expect(call).rejects.toThrow();
    }
    expect(await withClient(deployment, (client) => callText(client, 'echo', { text: 'fine' }))).toBe('fine');
  });
});
