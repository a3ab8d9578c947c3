import { describe, expect, it, vi } from 'vitest';
import { modern, tool } from '../../../test/support/modern-request.js';
import { RecordingOutlet } from '../../../test/support/recording-outlet.js';
import { warmServers } from '../../../test/support/warm-servers.js';
import type { Upstream } from '../edges/upstream.js';
import { parseMessage, type Request } from '../jsonrpc/envelope.js';
import { checkModernRequest } from './modern-checks.js';

const MINUTE = 60_000;
const never = new AbortController().signal;
const ASKABLE = { capabilities: { elicitation: {} } };

describe('the servers of a principal', () => {
  it('are one, for any number of requests at once', async () => {
    const { call, processes } = warmServers();
    await Promise.all(Array.from({ length: 50 }, () => call()));
    expect(processes).toHaveLength(1);
  });

  it('are not those of another', async () => {
    const { call, processes } = warmServers();
    await call({}, 'a');
    await call({}, 'b');
    expect(processes).toHaveLength(2);
  });

  it('are more when two calls at once want log messages, and one again afterwards', async () => {
    const { call, processes, answer, sessions } = warmServers();
    vi.useFakeTimers();
    await call({ logLevel: 'info' });
    await call({ logLevel: 'info' });
    expect(processes).toHaveLength(2);
    answer(0);
    answer(1);
    await call({ logLevel: 'info' });
    answer(0);
    expect(processes).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect([processes.map(({ ends }) => ends), sessions.count('dp_a')]).toEqual([[0, 1], 1]);
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect([processes.map(({ ends }) => ends), sessions.count('dp_a')]).toEqual([[1, 1], 0]);
    vi.useRealTimers();
  });

  it('count as sessions, so that there are no more than those', async () => {
    const { call } = warmServers({ maxSessions: 2 });
    await call({ logLevel: 'info' });
    await call({ logLevel: 'info' });
    await expect(call({ logLevel: 'info' })).rejects.toMatchObject({ code: 'session_limit' });
  });

  it('end with the deployment', async () => {
    const { call, processes, sessions } = warmServers();
    const { outlet } = await call();
    await sessions.closeAll('dp_a');
    expect([processes[0]?.ends, sessions.count('dp_a')]).toEqual([1, 0]);
    expect(outlet.messages).toMatchObject([{ error: { data: { code: 'session_ended' } } }]);
  });

  it('are opened again when one could not be', async () => {
    const { servers, sessions } = warmServers();
    const request = checkModernRequest(parseMessage(JSON.stringify(tool(1))) as Request, undefined);
    const open = vi.fn(() => Promise.reject(new Error('no engine')));
    const upstream = {
      owner: { deploymentId: 'dp_a', principal: 'a' },
      maxSessions: 1,
      modern: { isNative: () => Promise.resolve(true), open },
    };
    for (let n = 1; n <= 2; n++) {
      await expect(
        servers.request(request, new RecordingOutlet(), upstream as unknown as Upstream, undefined, never),
      ).rejects.toThrow('no engine');
      expect([open.mock.calls.length, sessions.count('dp_a')]).toEqual([n, 0]);
    }
  });
});

describe('a translated server', () => {
  it('serves one call at a time that can be asked, and lists beside it', async () => {
    const { call, send, processes } = warmServers({ native: false });
    await call(ASKABLE);
    await send(modern(2, 'tools/list', {}, ASKABLE));
    expect(processes).toHaveLength(1);
    await call(ASKABLE);
    await call();
    expect(processes).toHaveLength(3);
    await call();
    expect(processes).toHaveLength(3);
  });

  it('is left to its call while that is parked, which the answers come back to', async () => {
    const { call, send, processes, answer, parked } = warmServers({ native: false });
    await call(ASKABLE);
    parked.add('1');
    answer(0);
    await call(ASKABLE);
    expect(processes).toHaveLength(2);
    await send(modern(3, 'tools/call', { name: 'echo', requestState: '1', inputResponses: {} }, ASKABLE));
    expect(processes.map(({ lines }) => lines.length)).toEqual([2, 1]);
  });

  it('serves calls that cannot be asked beside a parked one', async () => {
    const { call, processes, answer, parked } = warmServers({ native: false });
    await call(ASKABLE);
    parked.add('1');
    answer(0);
    await call();
    await call();
    expect(processes).toHaveLength(1);
  });

  it('refuses a request state that nobody holds', async () => {
    const { send, processes } = warmServers({ native: false });
    const retry = modern(3, 'tools/call', { name: 'echo', requestState: 'forged' }, ASKABLE);
    await expect(send(retry)).rejects.toMatchObject({ rpcCode: -32602 });
    expect(processes).toHaveLength(0);
  });
});
