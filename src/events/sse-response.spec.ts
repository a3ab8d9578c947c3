import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { SseResponse } from './sse-response.js';

it.each(['end', 'destroy'] as const)(
  'what is written after %s goes nowhere and harms nobody',
  async (way) => {
    const res = new ServerResponse(new IncomingMessage(new Socket()));
    const faults: unknown[] = [];
    res.on('error', (error) => faults.push(error));
    const stream = new SseResponse(res);
    res[way]();
    stream.write('late');
    stream.keepAlive('');
    await new Promise(setImmediate);
    expect(faults).toEqual([]);
    expect(res.listenerCount('timeout')).toBe(1);
  },
);
