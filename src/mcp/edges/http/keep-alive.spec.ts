import { expect, it, vi } from 'vitest';

// The timer of all connections starts when the module is loaded, so it has to be a fake one before that.
vi.hoisted(() => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));

const { call, startEdge } = await import('../../../../test/support/edge-server.js');

it('a silent stream gets a comment every 15 s, for as long as its client is there', async () => {
  const edge = await startEdge();
  const session = await edge.open();
  const streams = [
    await edge.listen(session),
    await edge.ask(call(1), { ...session, accept: 'text/event-stream' }),
  ];
  vi.advanceTimersByTime(14_999);
  expect(streams.map((stream) => stream.text)).toEqual(['', '']);
  for (let n = 1; n <= 3; n++) {
    vi.advanceTimersByTime(n === 1 ? 1 : 15_000);
    for (const stream of streams) await stream.until(() => stream.text === ': keep-alive\n\n'.repeat(n));
  }
  streams[0]?.leave();
  edge.process.say({ jsonrpc: '2.0', id: 2, result: {} });
  await streams[1]?.whole();
  vi.advanceTimersByTime(15_000);
  expect(streams[1]?.messages).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
  expect(edge.faults).toEqual([]);
  await edge.close();
});
