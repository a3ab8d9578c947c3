import { describe, expect, it, vi } from 'vitest';
import {
  handshakeServer,
  INITIALIZE_RESULT,
  SharedClient,
  startShared,
  turn,
} from '../../../test/support/shared-clients.js';

const SILENT = () => undefined;

describe('the shared handshake', () => {
  it('is made once, with what can be routed, and every session gets its result', () => {
    const { process, server } = startShared();
    const clients = [new SharedClient(server), new SharedClient(server), new SharedClient(server)];
    for (const client of clients) {
      client.initialize({ roots: {}, tasks: {} });
      client.notify('notifications/initialized');
    }
    expect(process.read).toEqual([
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: {
          protocolVersion: '2025-11-25',
          capabilities: { sampling: { tools: {} }, elicitation: { form: {}, url: {} } },
          clientInfo: { name: 'mux', version: '1' },
        },
      },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
    ]);
    for (const client of clients) {
      expect(client.heard).toEqual([{ jsonrpc: '2.0', id: 0, result: INITIALIZE_RESULT }]);
    }
  });

  it('is waited for by sessions that come while it is under way, and by what they send behind their initialize', async () => {
    const { process, server } = startShared(SILENT);
    const [one, two] = [new SharedClient(server), new SharedClient(server)];
    one.initialize();
    two.initialize();
    two.notify('notifications/initialized');
    const sent = two.call(1, 'tools/list');
    expect(process.lines).toHaveLength(1);
    process.say({ jsonrpc: '2.0', id: 1, result: INITIALIZE_RESULT });
    await sent;
    expect(process.read.map(({ method }) => method)).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/list',
    ]);
    expect([one.heard.length, two.heard.length]).toEqual([1, 1]);
  });

  it('goes on when the session that began it leaves', () => {
    const { process, server } = startShared(SILENT);
    const [one, two] = [new SharedClient(server), new SharedClient(server)];
    one.initialize();
    two.initialize();
    void one.channel.close();
    process.say({ jsonrpc: '2.0', id: 1, result: INITIALIZE_RESULT });
    expect(one.heard).toEqual([]);
    expect(two.heard).toMatchObject([{ id: 0, result: {} }]);
    expect(process.read.map(({ method }) => method)).not.toContain('notifications/cancelled');
  });

  it('that is refused is passed on to all that wait, and made again for the next', async () => {
    const { process, server } = startShared(SILENT);
    const clients = [new SharedClient(server), new SharedClient(server)];
    for (const client of clients) client.initialize();
    void clients[1]?.call(1, 'tools/list');
    const error = { code: -32602, message: 'no licence' };
    process.say({ jsonrpc: '2.0', id: 1, error });
    await turn();
    expect(clients[0]?.heard).toEqual([{ jsonrpc: '2.0', id: 0, error }]);
    expect(clients[1]?.heard).toMatchObject([
      { id: 0, error },
      { id: 1, error: { code: -32600, message: 'Invalid Request: initialize must come first' } },
    ]);
    const next = new SharedClient(server);
    next.initialize();
    process.say({ jsonrpc: '2.0', id: 2, result: INITIALIZE_RESULT });
    expect(next.heard).toMatchObject([{ id: 0, result: {} }]);
    expect(process.read.map(({ method }) => method)).toEqual([
      'initialize',
      'initialize',
      'notifications/initialized',
    ]);
  });

  it('that is not answered in time ends the process and says so', () => {
    vi.useFakeTimers();
    try {
      const { process, server, closings } = startShared(SILENT, { handshakeMs: 3000 });
      const client = new SharedClient(server);
      client.initialize();
      process.complain('waiting for a database\n');
      vi.advanceTimersByTime(3000);
      const message = 'The server did not answer initialize within 3 s. It said:\nwaiting for a database';
      expect(client.closings).toEqual([{ cause: 'violated', message }]);
      expect(closings).toEqual(client.closings);
      expect(process.ends).toBe(1);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    [{ capabilities: {} }, 'names no protocol version'],
    [{ protocolVersion: '2025-11-25', instructions: 'x'.repeat(1 << 20) }, 'more than 1048576 characters'],
  ])('whose answer is of no use ends the process (%#)', (result, why) => {
    const { server } = startShared(handshakeServer(SILENT, result));
    const client = new SharedClient(server);
    client.initialize();
    expect(client.closings).toMatchObject([{ cause: 'violated', message: expect.stringContaining(why) }]);
  });

  it('does not offer tasks, and requests that ask for one are served without', () => {
    const capabilities = {
      tasks: { list: {} },
      extensions: { 'io.modelcontextprotocol/tasks': {}, 'x/y': { z: 1 } },
      tools: {},
      experimental: { e: {} },
    };
    const { process, join, server } = startShared(
      handshakeServer(SILENT, { ...INITIALIZE_RESULT, capabilities }),
    );
    const client = new SharedClient(server);
    client.initialize();
    expect(client.news()[0]?.result?.['capabilities']).toEqual({
      extensions: { 'x/y': { z: 1 } },
      tools: {},
      experimental: { e: {} },
    });
    const caller = join();
    void caller.call(1, 'tools/call', { name: 'x', task: { ttl: 1 }, arguments: { task: 1 } });
    expect(process.read.at(-1)?.params).toEqual({ name: 'x', arguments: { task: 1 } });
    void caller.call(2, 'tasks/get', { taskId: 'other' });
    expect(caller.heard).toMatchObject([{ id: 2, error: { code: -32601 } }]);
  });

  it('gives clients of an older revision that one, and never a newer one than the server speaks', () => {
    const result = { ...INITIALIZE_RESULT, protocolVersion: '2025-06-18' };
    const { server } = startShared(handshakeServer(SILENT, result));
    const given = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2099-01-01', 'x'].map((asked) => {
      const client = new SharedClient(server);
      client.initialize({}, asked);
      return client.heard[0]?.result?.['protocolVersion'];
    });
    expect(given).toEqual(['2024-11-05', '2025-03-26', ...Array<string>(4).fill('2025-06-18')]);
  });

  it('comes first: until then ping is answered for the server, and nothing reaches it', () => {
    const { process, server } = startShared(SILENT);
    const client = new SharedClient(server);
    void client.call('p', 'ping');
    void client.call(1, 'tools/list');
    client.notify('notifications/whatever');
    expect(client.heard).toMatchObject([
      { id: 'p', result: {} },
      { id: 1, error: { code: -32600 } },
    ]);
    expect(process.lines).toEqual([]);
  });

  it('leaves the server to ping us, and to nothing else', () => {
    const { process, server } = startShared(SILENT);
    const client = new SharedClient(server);
    client.initialize();
    process.say(
      { jsonrpc: '2.0', id: 'a', method: 'ping' },
      { jsonrpc: '2.0', id: 'b', method: 'sampling/createMessage' },
      { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } },
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
    );
    expect(client.heard).toEqual([]);
    expect(process.read.slice(1)).toMatchObject([
      { id: 'a', result: {} },
      { id: 'b', error: { code: -32601 } },
    ]);
  });
});
