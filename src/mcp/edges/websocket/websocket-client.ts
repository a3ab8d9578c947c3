import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { ClientConnection, ConnectionEnd } from '../connection/client-connection.js';
import { untilTaken } from '../http/back-pressure.js';
import { CLOSE, closeReason } from './close-code.js';

const PING_MS = 15_000;
/** A client that has been silent through so many pings is dead: 30 s after the first of them. */
const MAX_SILENT_PINGS = 2;

const CODES = {
  completed: CLOSE.normal,
  going_away: CLOSE.goingAway,
  policy: CLOSE.policy,
  server_failed: CLOSE.internalError,
} as const satisfies Record<ConnectionEnd['cause'], number>;

/** One timer for all connections. */
const clients = new Set<WebSocketClient>();
setInterval(() => {
  for (const client of clients) client.ping();
}, PING_MS).unref();

/** A client at the other end of a WebSocket: one message a text frame. */
export class WebSocketClient implements ClientConnection {
  readonly edge = 'websocket';
  private ended = false;
  private drain: Promise<void> | undefined;
  private silentPings = 0;

  constructor(
    private readonly ws: WebSocket,
    private readonly socket: Socket,
  ) {
    // Whatever it is, `ws` closes the connection, and `close` follows.
    ws.on('error', () => undefined);
    ws.once('close', () => clients.delete(this));
    // Any byte is a sign of life: the pong to a client's upload of minutes would come behind it.
    socket.prependListener('data', () => {
      this.silentPings = 0;
    });
    // One that said goodbye and does not read what is left is cut off.
    socket.once('end', () => void untilTaken(socket));
    clients.add(this);
  }

  get open(): boolean {
    return !this.ended && this.ws.readyState === WebSocket.OPEN;
  }

  send(text: string): Promise<void> | undefined {
    if (!this.open) return undefined;
    this.ws.send(text);
    if (!this.socket.writableNeedDrain) return undefined;
    this.drain ??= this.drained();
    return this.drain;
  }

  end({ cause, message }: ConnectionEnd): void {
    if (this.ended) return;
    this.ended = true;
    void this.close(CODES[cause], message, cause === 'going_away');
  }

  ping(): void {
    // A client that has not taken everything yet is judged by the timer of its socket: `untilTaken`.
    if (!this.open || this.drain) return;
    this.ws.ping();
    // Nobody hears it answer while its server does not read.
    if (this.ws.isPaused) return;
    if (this.silentPings >= MAX_SILENT_PINGS) this.ws.terminate();
    this.silentPings++;
  }

  /** From then on the client has the deadline of `ws` to take the rest and to answer the close frame. */
  private async close(code: number, message: string, atOnce: boolean): Promise<void> {
    // The last answers are not to fall under that deadline.
    if (this.drain && !atOnce) await this.drain;
    this.ws.close(code, closeReason(message));
    this.ws.resume();
  }

  private async drained(): Promise<void> {
    await untilTaken(this.socket);
    this.drain = undefined;
    this.silentPings = 0;
  }
}
