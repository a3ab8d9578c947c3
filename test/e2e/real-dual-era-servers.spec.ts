import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Connected, DUAL_ERA_CLIENTS } from '../support/dual-era-clients.js';
import { npmImage, pythonImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

async function using(
  { sdk, leave }: Connected,
  use: (sdk: Connected['sdk']) => Promise<void>,
): Promise<void> {
  try {
    await use(sdk);
  } finally {
    await leave();
  }
}

describe('servers of both eras that are not ours, through unmodified clients', () => {
  let service: Service;
  let context7: Deployment;
  let python: Deployment;

  beforeAll(async () => {
    const images = [await npmImage('@upstash/context7-mcp@4.1.1'), await pythonImage()] as const;
    service = await Service.start();
    [context7, python] = await Promise.all([
      service.deploy({ image: images[0] }),
      service.deploy({ image: images[1] }),
    ]);
  });

  afterAll(() => service.stop());

  it.each(DUAL_ERA_CLIENTS)(
    '%s: context7 lists its tools, and a call has a result also where it has no network',
    async (_client, _revision, connect) => {
      await using(await connect(context7), async (sdk) => {
        const { tools } = await sdk.listTools();
        expect(tools.map(({ name }) => name)).toEqual(['resolve-library-id', 'query-docs']);
        const args = { query: 'routing', libraryName: 'react' };
        const result = await sdk.callTool({ name: 'resolve-library-id', arguments: args });
        expect(result).toMatchObject({
          content: [{ type: 'text', text: expect.stringMatching(/./) as string }],
        });
      });
    },
  );

  it.each(DUAL_ERA_CLIENTS)(
    '%s: a Python server, which pins its era on its first message, speaks revision %s by itself',
    async (_client, revision, connect) => {
      await using(await connect(python), async (sdk) => {
        const { tools } = await sdk.listTools();
        expect(tools.map(({ name }) => name)).toEqual(['echo', 'whoami', 'progress']);
        const text = 'grüß dich 🌍';
        expect(await sdk.callTool({ name: 'echo', arguments: { text } })).toMatchObject({
          content: [{ type: 'text', text }],
        });
        expect(await sdk.callTool({ name: 'whoami', arguments: {} })).toMatchObject({
          structuredContent: { revision, uid: python.user.uid },
        });
        const { messages } = await sdk.getPrompt({ name: 'greeting', arguments: { name: 'Ada' } });
        expect(messages).toMatchObject([{ content: { text: 'Say hello to Ada.' } }]);
        const { contents } = await sdk.readResource({ uri: 'test://static-text' });
        expect(contents).toMatchObject([{ text: 'This is the content of the static text resource.' }]);
        expect(await sdk.callTool({ name: 'echo', arguments: {} })).toMatchObject({ isError: true });
      });
    },
  );
});
