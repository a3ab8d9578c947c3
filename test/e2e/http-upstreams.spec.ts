import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callText, newClient, transportTo, withClient } from '../support/client.js';
import { fixtureImage, npmImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

interface HttpRequest {
  image: string;
  transport: { type: 'streamable_http' | 'sse'; endpoint: string };
  args?: string[];
  env?: Record<string, string>;
  startTimeoutSeconds?: number;
}

const PORT = 3456;
const STREAMABLE_HTTP = {
  transport: { type: 'streamable_http', endpoint: `http://localhost:${PORT}/mcp` },
  args: ['--http', String(PORT)],
} as const;
const SSE = {
  transport: { type: 'sse', endpoint: `http://localhost:${PORT}/sse` },
  args: ['--sse', String(PORT)],
} as const;

let service: Service;
let image: string;
const made: string[] = [];

beforeAll(async () => {
  image = await fixtureImage();
  service = await Service.start();
});

afterEach(async () => {
  await Promise.all(made.splice(0).map((id) => service.delete(id)));
});

afterAll(() => service.stop());

async function settle(
  request: Omit<HttpRequest, 'args'> & { args?: readonly string[] },
): Promise<Deployment> {
  const { status, body } = await service.api<Deployment>('POST', '/api/deployment', request);
  expect(status, JSON.stringify(body)).toBe(201);
  made.push(body.id);
  return { ...(await service.settled(body.id)), accessToken: body.accessToken ?? '' };
}

async function deploy(
  request: Omit<HttpRequest, 'args'> & { args?: readonly string[] },
): Promise<Deployment> {
  const deployment = await settle(request);
  expect(deployment.statusReason.message).toBe('The MCP server answers.');
  return deployment;
}

/** Code that runs in the process of the fixture, whatever else that does. */
function alongside(code: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}

describe.each([
  ['Streamable HTTP', STREAMABLE_HTTP],
  ['HTTP+SSE', SSE],
])('a server that speaks %s by itself', (_name, kind) => {
  it('is used by an unmodified client: tools, progress, logs, and questions to the client', async () => {
    const deployment = await deploy({ image, ...kind });
    const client = newClient({ sampling: {} });
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      model: 'test-model',
      role: 'assistant',
      content: { type: 'text', text: 'sampled' },
    }));
    const logs: unknown[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      logs.push(params.data);
    });
    await withClient(
      deployment,
      async () => {
        expect((await client.listTools()).tools.length).toBeGreaterThan(10);
        expect(await callText(client, 'echo', { text: 'grüß dich 🌍' })).toBe('grüß dich 🌍');
        const progress: number[] = [];
        await client.callTool({ name: 'test_tool_with_progress' }, undefined, {
          onprogress: (report) => progress.push(report.progress),
        });
        expect(progress).toHaveLength(3);
        await callText(client, 'test_tool_with_logging');
        await expect.poll(() => logs.length).toBe(3);
        expect(await callText(client, 'test_sampling', { prompt: 'x' })).toContain('sampled');
      },
      client,
    );
  });

  it('hears a cancellation, and asks and tells its client what belongs to a session', async () => {
    const deployment = await deploy({ image, ...kind });
    const client = newClient({ elicitation: {}, roots: {} });
    client.setRequestHandler(ElicitRequestSchema, () => ({
      action: 'accept',
      content: { username: 'ada', email: 'ada@example.org' },
    }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///somewhere' }] }));
    const changed = new Promise<void>((resolve) => {
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    });
    await withClient(
      deployment,
      async () => {
        expect(await callText(client, 'test_elicitation', { message: 'who?' })).toContain('ada');
        expect(await callText(client, 'roots')).toContain('file:///somewhere');
        await callText(client, 'add_tool', { name: 'brand_new' });
        await changed;
        expect(await callText(client, 'brand_new')).toBe('brand_new');
        const leaving = new AbortController();
        const call = client.callTool({ name: 'slow', arguments: { ms: 60_000, label: 'long' } }, undefined, {
          signal: leaving.signal,
        });
        // The call is in flight once a later one has been answered.
        await callText(client, 'session_counter');
        leaving.abort();
        await expect(call).rejects.toThrow();
        await expect.poll(() => callText(client, 'cancellations')).toBe('["long"]');
      },
      client,
    );
  });

  it('carries large messages both ways', async () => {
    const deployment = await deploy({ image, ...kind });
    await withClient(deployment, async (client) => {
      const text = 'ü'.repeat(1_000_000);
      expect(await callText(client, 'echo', { text })).toBe(text);
      const bytes = 15 * 1024 * 1024;
      expect((await callText(client, 'echo_bytes', { n: bytes })).length).toBe(bytes);
    });
  });

  it('keeps the sessions of its clients apart', async () => {
    const deployment = await deploy({ image, ...kind });
    await withClient(deployment, async (one) => {
      await callText(one, 'session_counter');
      await withClient(deployment, async (other) => {
        expect(await callText(other, 'session_counter')).toBe('1');
        expect(await callText(one, 'session_counter')).toBe('2');
      });
    });
  });

  it('fails its calls at once when it exits, with its last words, and the session goes on in another process', async () => {
    const deployment = await deploy({ image, ...kind });
    const client = newClient();
    const transport = transportTo(deployment);
    await client.connect(transport);
    const { sessionId } = transport;
    expect(await callText(client, 'session_counter')).toBe('1');
    await callText(client, 'stderr', { lines: ['fixture: out of cheese'] });
    const slow = callText(client, 'slow', { ms: 60_000, label: 'pending' });
    const both = await Promise.allSettled([callText(client, 'exit', { code: 7 }), slow]);
    for (const result of both) {
      expect(String(result.status === 'rejected' && result.reason)).toMatch(
        /exited with code 7[^]*out of cheese/,
      );
    }
    expect(await callText(client, 'session_counter')).toBe('1');
    expect(transport.sessionId).toBe(sessionId);
    await client.close();
    expect((await service.get(deployment.id)).status).toBe('running');
  });

  it('that serves several clients has none of them told its last words, but its owner', async () => {
    const deployment = await deploy({ image, ...kind });
    await withClient(deployment, (one) =>
      withClient(deployment, async (other) => {
        await callText(one, 'stderr', { lines: ['fixture: the password of one'] });
        const slow = callText(other, 'slow', { ms: 60_000, label: 'pending' });
        const both = await Promise.allSettled([callText(one, 'exit', { code: 7 }), slow]);
        for (const result of both) {
          const told = String(result.status === 'rejected' && result.reason);
          expect(told).toContain('exited with code 7');
          expect(told).not.toContain('password');
        }
        const { message } = (await service.get(deployment.id)).statusReason;
        expect(message).toMatch(/exited with code 7[^]*the password of one/);
      }),
    );
  });

  it('that exits at start fails with its last words', async () => {
    const deployment = await settle({ image, ...kind, args: ['--exit-at-start'] });
    expect(deployment).toMatchObject({ status: 'failed', statusReason: { code: 'server_exited' } });
    expect(deployment.statusReason.message).toMatch(/exited with code 3[^]*licence file is missing/);
  });

  it('that listens only to itself fails with what to do', async () => {
    const env = alongside(`(await import('node:http')).createServer().listen(${PORT}, '127.0.0.1')`);
    const deployment = await settle({ image, ...kind, args: ['--mute'], env, startTimeoutSeconds: 3 });
    expect(deployment).toMatchObject({ status: 'failed', statusReason: { code: 'start_timeout' } });
    expect(deployment.statusReason.message).toMatch(
      /port 3456 of its sandbox\. It must listen there on 0\.0\.0\.0 [^]*database that never comes/,
    );
  });

  it('that accepts connections and says nothing fails in time', async () => {
    const env = alongside(`(await import('node:net')).createServer(() => {}).listen(${PORT}, '0.0.0.0')`);
    const deployment = await settle({ image, ...kind, args: ['--mute'], env, startTimeoutSeconds: 3 });
    expect(deployment).toMatchObject({ status: 'failed', statusReason: { code: 'start_timeout' } });
  });

  it('that sends elsewhere is not followed', async () => {
    const code = `(await import('node:http')).createServer((req, res) => res.writeHead(307, { location: 'http://127.0.0.1:${service.port}/health' }).end()).listen(${PORT}, '0.0.0.0')`;
    const deployment = await settle({ image, ...kind, args: ['--mute'], env: alongside(code) });
    expect(deployment).toMatchObject({ status: 'failed', statusReason: { code: 'server_invalid' } });
    expect(deployment.statusReason.message).toContain('redirect (HTTP 307), and redirects are not followed');
  });
});

it('a server that floods its log is served all the same', async () => {
  // As fast as it is read, or it would end of its own memory.
  const flood = `setInterval(() => {
    if (process.stdout.writableLength === 0) process.stdout.write('x'.repeat(1e6));
    if (process.stderr.writableLength === 0) process.stderr.write('y\\n'.repeat(1e5));
  }, 1)`;
  const deployment = await deploy({ image, ...STREAMABLE_HTTP, env: alongside(flood) });
  await withClient(deployment, async (client) => {
    for (let n = 0; n < 20; n++) expect(await callText(client, 'echo', { text: `${n}` })).toBe(`${n}`);
  });
});

it('a server that exits again and again is started less and less often, and says so', async () => {
  const deployment = await deploy({ image, ...STREAMABLE_HTTP });
  const errors: string[] = [];
  for (let n = 0; n < 6; n++) {
    const client = newClient();
    try {
      await client.connect(transportTo(deployment));
      await callText(client, 'exit', { code: 1 });
    } catch (error) {
      errors.push(String(error));
    } finally {
      await client.close();
    }
  }
  expect(errors).toHaveLength(6);
  // The latter where each new try comes when the wait is over, as with pauses in between.
  expect(errors.at(-1)).toMatch(
    /started again in \d+ s, after \d crashes in a row\. The server exited with code 1|It ended by itself 5 times in a row/,
  );
});

it('server-everything speaks Streamable HTTP and SSE from its sandbox', async () => {
  const everything = await npmImage('@modelcontextprotocol/server-everything@2026.8.31');
  const env = { PORT: '3001' };
  const deployments = await Promise.all([
    deploy({
      image: everything,
      args: ['streamableHttp'],
      env,
      transport: { type: 'streamable_http', endpoint: 'http://localhost:3001/mcp' },
    }),
    deploy({
      image: everything,
      args: ['sse'],
      env,
      transport: { type: 'sse', endpoint: 'http://localhost:3001/sse' },
    }),
  ]);
  for (const deployment of deployments) {
    await withClient(deployment, async (client) => {
      expect(await callText(client, 'get-sum', { a: 2, b: 40 })).toContain('42');
    });
  }
});
