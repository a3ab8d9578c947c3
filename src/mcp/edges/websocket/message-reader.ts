import type { Socket } from 'node:net';
import { type RawData, WebSocket } from 'ws';
import { type ParsedBody, parseBody } from '../../jsonrpc/envelope.js';
import { InvalidMessageError } from '../../jsonrpc/invalid-message.error.js';
import { errorText, RPC } from '../../jsonrpc/json-rpc.js';
import type { MemoryLease } from '../http/message-memory.js';
import { CLOSE } from './close-code.js';

/** A client that sends so many in a row that are no messages has nothing else to say. */
const MAX_INVALID = 100;
/** What a control frame of a client takes beyond its data. */
const CONTROL_BYTES = 6;

interface Reading {
  /** Memory for one message. */
  lease(): MemoryLease;
  /** Takes a message, or throws `InvalidMessageError` at once; a promise holds back the next ones. */
  receive(body: ParsedBody): Promise<void> | undefined;
  /** Tells the client what was wrong. */
  refuse(text: string): Promise<void> | undefined;
  /** What should not have happened. */
  fault(error: unknown): void;
}

/**
 * Reads the messages of a client one after the other. While one waits, nothing is read from the socket: what is in
 * memory are the messages of one chunk and the beginning of one more.
 */
export class MessageReader {
  private readonly waiting: { data: Buffer; memory: MemoryLease }[] = [];
  private working = false;
  private invalid = 0;
  /** For the message that is coming in. What follows another one in its chunk is not counted. */
  private incoming: MemoryLease;
  /** Control frames were counted as part of a message, which they are not. */
  private overcounted = 0;

  constructor(
    private readonly ws: WebSocket,
    private readonly socket: Socket,
    private readonly reading: Reading,
  ) {
    this.incoming = reading.lease();
  }

  start(): void {
    const { socket, ws } = this;
    // Before `ws` sees it: the message that ends in a chunk is counted with it.
    socket.prependListener('data', (chunk: Buffer) => this.count(chunk.length));
    const overcount = (data: Buffer): void => {
      this.overcounted += CONTROL_BYTES + data.length;
    };
    ws.on('ping', overcount).on('pong', overcount);
    ws.on('message', (data, isBinary) => this.take(data, isBinary));
    ws.once('close', () => {
      this.incoming.release();
      for (const { memory } of this.waiting.splice(0)) memory.release();
    });
  }

  private count(bytes: number): void {
    if (this.ws.readyState !== WebSocket.OPEN) return;
    const counted = Math.max(0, bytes - this.overcounted);
    this.overcounted -= bytes - counted;
    try {
      this.incoming.grow(counted);
    } catch {
      this.ws.close(CLOSE.tryAgainLater, 'Too many large messages at once');
      // Not even its answer to that is worth the memory.
      this.socket.pause();
    }
  }

  private take(data: RawData, isBinary: boolean): void {
    // `ws` goes on reading until the client has closed as well.
    if (this.ws.readyState !== WebSocket.OPEN) return;
    if (isBinary || !Buffer.isBuffer(data)) {
      this.ws.close(CLOSE.unsupportedData, 'Messages are text frames');
      return;
    }
    this.waiting.push({ data, memory: this.incoming });
    this.incoming = this.reading.lease();
    if (!this.working) void this.work();
  }

  private async work(): Promise<void> {
    this.working = true;
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      try {
        const wait = this.read(next.data);
        if (!wait) continue;
        this.ws.pause();
        await wait;
      } catch (error) {
        this.ws.close(CLOSE.internalError, 'Something went wrong on our side');
        this.reading.fault(error);
      } finally {
        next.memory.release();
      }
    }
    this.working = false;
    if (this.ws.isPaused) this.ws.resume();
  }

  private read(data: Buffer): Promise<void> | undefined {
    try {
      const wait = this.reading.receive(parseBody(data.toString('utf8')));
      this.invalid = 0;
      return wait;
    } catch (error) {
      if (error instanceof InvalidMessageError) {
        return this.refuse(RPC.invalidRequest, `Invalid Request: ${error.message}`);
      }
      if (error instanceof SyntaxError) {
        return this.refuse(RPC.parseError, 'Parse error: the frame is not valid JSON');
      }
      throw error;
    }
  }

  private refuse(code: number, message: string): Promise<void> | undefined {
    const wait = this.reading.refuse(errorText('null', { code, message }));
    this.invalid++;
    if (this.invalid >= MAX_INVALID) {
      this.ws.close(CLOSE.policy, `${MAX_INVALID} messages in a row were not JSON-RPC`);
    }
    return wait;
  }
}
