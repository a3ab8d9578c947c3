import type { IncomingMessage, ServerResponse } from 'node:http';
import { untilTaken } from '../mcp/edges/http/back-pressure.js';

export function isEmpty(answer: IncomingMessage, status: number): boolean {
  return status === 202 || status === 204 || status === 205 || answer.headers['content-length'] === '0';
}

export function bodiless(answer: IncomingMessage): IncomingMessage {
  delete answer.headers['content-type'];
  delete answer.headers['content-length'];
  return answer;
}

/** Pass a body on, no faster than the client reads. False: it broke off. */
export async function pump(answer: IncomingMessage, res: ServerResponse): Promise<boolean> {
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (res.closed) return true;
      if (!res.write(chunk)) await untilTaken(res);
    }
    if (answer.complete) res.end();
    return answer.complete;
  } catch {
    return false;
  }
}
