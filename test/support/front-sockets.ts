import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { type FrontTraffic, messagesIn } from './front-traffic.js';

const MAX_BYTES = 64 << 20;

/** Pass a client's WebSocket on to the service, each request of it when `traffic` lets it in; a refusal is passed back. */
export function passSocket(
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  servicePort: number,
  traffic: FrontTraffic,
): void {
  const offered = (req.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  const service = new WebSocket(`ws://127.0.0.1:${servicePort}${req.url}`, offered.filter(Boolean), {
    headers: headersOf(req),
    maxPayload: MAX_BYTES,
  });
  socket.on('error', () => service.terminate());
  service.on('error', () => socket.destroy());
  service.once('unexpected-response', (_request, answer: IncomingMessage) => {
    socket.write(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\nConnection: close\r\n\r\n`);
    answer.pipe(socket);
  });
  // What it says at once must find its listener.
  const early: [RawData, boolean][] = [];
  const keep = (data: RawData, isBinary: boolean): unknown => early.push([data, isBinary]);
  service.on('message', keep);
  service.once('open', () => {
    const front = new WebSocketServer({
      noServer: true,
      maxPayload: MAX_BYTES,
      handleProtocols: () => service.protocol || false,
    });
    front.handleUpgrade(req, socket, head, (client) => {
      service.off('message', keep);
      join(client, service, traffic, early);
    });
  });
}

function join(
  client: WebSocket,
  service: WebSocket,
  traffic: FrontTraffic,
  early: [RawData, boolean][],
): void {
  const hear = (data: RawData, isBinary: boolean): void => {
    traffic.hearMessages(textOf(data));
    client.send(data, { binary: isBinary });
  };
  for (const [data, isBinary] of early) hear(data, isBinary);
  service.on('message', hear);
  service.on('close', (code, reason) => close(client, code, reason));
  // In their order, but that a call waits for its answers.
  let turn = Promise.resolve();
  client.on('message', (data, isBinary) => {
    const messages = messagesIn(textOf(data));
    const send = (): void => {
      if (service.readyState === WebSocket.OPEN) service.send(data, { binary: isBinary });
    };
    if (messages.length > 0 && messages.every(({ method }) => method === undefined)) send();
    else turn = turn.then(() => traffic.admit(messages)).then(send, () => client.terminate());
  });
  client.on('error', () => undefined);
  client.on('close', (code, reason) => {
    traffic.end();
    close(service, code, reason);
  });
}

/** 1005 and 1006 say that there was no code, and cannot be sent. */
function close(socket: WebSocket, code: number, reason: Buffer): void {
  if (code === 1006) socket.terminate();
  else if (code === 1005) socket.close();
  else socket.close(code, reason);
}

function textOf(data: RawData): string {
  return Buffer.isBuffer(data) ? data.toString() : Buffer.from(data as ArrayBuffer).toString();
}

/** Those of the client, without those of its own handshake. */
function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const own = /^(sec-websocket-.*|connection|upgrade)$/;
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => typeof value === 'string' && !own.test(name)),
  ) as Record<string, string>;
}
