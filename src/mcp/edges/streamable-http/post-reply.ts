import type { ServerResponse } from 'node:http';
import type { Outlet } from '../../sessions/outlet.js';
import { untilTaken } from '../http/back-pressure.js';
import type { EventStream } from './event-stream.js';
import { sendJson } from '../http/http-reply.js';
import type { HttpSession } from './http-session.js';
import type { Accepted } from './request-checks.js';
import { SseConnection } from '../http/sse-connection.js';

/** Silence after which an answer becomes a stream, so that keep-alives can hold its connection. */
const SILENCE_MS = 5000;

/** What is known of a POST that holds requests. */
interface Post {
  accepted: Accepted;
  batch: boolean;
  /** Ids of the requests, as JSON text: so many answers are to come. */
  requestIds: string[];
  opensSession: boolean;
}

/**
 * The answer to one POST that holds requests. It is one JSON body when the answers are the first thing to come, and a
 * stream as soon as anything else comes before them, or nothing for 5 s.
 */
export class PostReply implements Outlet {
  private readonly answers: string[] = [];
  private stream: EventStream | undefined;
  private missing: number;
  private readonly silence: NodeJS.Timeout | undefined;

  /** @param onDone called once, when the last answer was handed over or could not be */
  constructor(
    private readonly res: ServerResponse,
    private readonly session: HttpSession,
    private readonly post: Post,
    private readonly onDone: () => void,
  ) {
    this.missing = post.requestIds.length;
    if (!post.accepted.json) this.startStream();
    else if (post.accepted.sse) this.silence = setTimeout(() => this.startStream(), SILENCE_MS);
  }

  /** A stream takes more while somebody listens to it. A JSON body takes nothing but the answers. */
  get open(): boolean {
    if (this.missing === 0) return false;
    return this.stream ? this.stream.attached : this.post.accepted.sse && !this.res.closed;
  }

  deliver(text: string, last: boolean): Promise<void> | undefined {
    if (this.missing === 0) return undefined;
    if (!last) {
      this.startStream();
      return this.stream?.append(text);
    }
    this.missing--;
    const wait = this.stream ? this.stream.append(text, true) : this.collect(text);
    if (this.missing === 0) this.finish();
    return wait;
  }

  private collect(answer: string): Promise<void> | undefined {
    this.answers.push(answer);
    if (this.missing > 0) return undefined;
    const [only = ''] = this.answers;
    const text = this.post.batch ? `[${this.answers.join(',')}]` : only;
    // A refused initialize opens no session.
    const refused = this.session.session.protocolVersion === undefined;
    sendJson(this.res, 200, text, refused ? {} : this.headers());
    return this.res.closed || this.res.writableLength === 0 ? undefined : untilTaken(this.res);
  }

  private headers(): Record<string, string> {
    return this.post.opensSession ? { 'mcp-session-id': this.session.id } : {};
  }

  private startStream(): void {
    clearTimeout(this.silence);
    // A client that left before the first byte has no id to resume from.
    if (this.stream || this.res.closed) return;
    const connection = new SseConnection(this.res, this.headers());
    const { requestIds } = this.post;
    this.stream = this.session.openStream(connection, requestIds.length === 1 ? requestIds[0] : undefined);
    for (const answer of this.answers) void this.stream.append(answer, true);
  }

  private finish(): void {
    clearTimeout(this.silence);
    if (this.stream) this.session.finishStream(this.stream);
    this.onDone();
  }
}
