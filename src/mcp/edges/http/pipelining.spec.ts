import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { call, echo, initialize, startEdge } from '../../../../test/support/edge-server.js';
import { listen, post } from '../../../../test/support/http-text.js';

describe('requests that are pipelined', () => {
  it('are answered in turn', async () => {
    const edge = await startEdge(echo);
    const session = await edge.open();
    const socket = connect(edge.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.write([1, 2, 3].map((id) => post(session, call(id))).join(''));
    await expect.poll(() => text.match(/"id":\d/g)).toEqual(['"id":1', '"id":2', '"id":3']);
    socket.destroy();
    await edge.close();
  });

  it('behind an open stream are dropped with it, and hold nothing', async () => {
    const edge = await startEdge();
    const session = await edge.open();
    const socket = connect(edge.port, '127.0.0.1');
    socket.write(listen(session) + post(session, call(1)) + post({}, initialize()));
    await expect.poll(() => edge.counts.handled).toBe(2);
    expect(edge.counts.leases).toBe(0);
    expect(edge.counts.calls).toBe(0);
    socket.destroy();
    await expect.poll(() => edge.counts.handled).toBe(0);
    expect(edge.process.lines).toHaveLength(1);
    expect(edge.processes).toHaveLength(1);
    await edge.close();
  });
});
