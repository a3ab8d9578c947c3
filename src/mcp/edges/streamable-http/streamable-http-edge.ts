import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../../errors/app-error.js';
import type { Envelope, ParsedBody } from '../../jsonrpc/envelope.js';
import { RPC } from '../../jsonrpc/json-rpc.js';
import { eraOf } from '../../modern/era.js';
import { isModernHeader } from '../../modern/modern-checks.js';
import type { StatelessHttpEdge } from '../stateless-http/stateless-http-edge.js';
import type { Call } from '../calls/call.js';
import { traceOfHeaders } from '../calls/trace-context.js';
import { watchedOutlet } from '../calls/watched-outlet.js';
import type { Upstream } from '../upstream.js';
import { readMessages } from '../http/body.js';
import { clientLeft, EdgeError, sendEmpty, sendError } from '../http/http-reply.js';
import type { HttpSession } from './http-session.js';
import type { HttpSessions } from './http-sessions.js';
import { type MemoryLease, MessageMemory } from '../http/message-memory.js';
import { awaitTurn } from '../http/pipelining.js';
import { PostReply } from './post-reply.js';
import { parseEventId } from './replay-log.js';
import {
  type Accepted,
  acceptedTypes,
  requireAnswerable,
  requireEventStream,
  requireJsonBody,
  requireKnownRevision,
} from './request-checks.js';
import { SseConnection } from '../http/sse-connection.js';

/** The Streamable HTTP transport of the handshake era (revisions 2025-03-26 to 2025-11-25), on one endpoint. */
export class StreamableHttpEdge {
  /** @param stateless takes what turns out to be of the modern era; @param onFault gets what should not have happened, for the log */
  constructor(
    private readonly sessions: HttpSessions,
    private readonly stateless: StatelessHttpEdge,
    private readonly onFault: (error: unknown, req?: IncomingMessage) => void,
    private readonly memory = new MessageMemory(),
  ) {}

  /** Answers every request, whatever goes wrong; never rejects. */
  async handle(req: IncomingMessage, res: ServerResponse, upstream: Upstream): Promise<void> {
    try {
      if (!(await awaitTurn(req, res))) return;
      if (req.method === 'POST') await this.postWithin(req, res, upstream);
      else if (isModernHeader(req.headers)) throw notAllowed('POST');
      else if (req.method === 'GET') this.listen(req, res, upstream);
      else if (req.method === 'DELETE') await this.end(req, res, upstream);
      else throw notAllowed('GET, POST, DELETE');
    } catch (error) {
      const known = error instanceof EdgeError || error instanceof AppError;
      // What fails because the client left is no fault.
      if (!known && !res.closed) this.onFault(error, req);
      sendError(res, known ? error : new AppError('internal_error'));
    }
  }

  private async postWithin(req: IncomingMessage, res: ServerResponse, upstream: Upstream): Promise<void> {
    const memory = this.memory.lease(upstream.owner.deploymentId);
    try {
      await this.post(req, res, upstream, memory);
    } finally {
      memory.release();
    }
  }

  private async post(
    req: IncomingMessage,
    res: ServerResponse,
    upstream: Upstream,
    memory: MemoryLease,
  ): Promise<void> {
    requireAnswerable(acceptedTypes(req));
    requireJsonBody(req);
    // Before the body, so that nobody uploads megabytes to a session that does not exist.
    if (isOfSession(req)) this.require(req, upstream);
    const body = await readMessages(req, upstream.maxMessageBytes, memory);
    if (eraOf(req.headers, body) === 'modern') {
      await this.stateless.post(req, res, upstream, body.messages[0]);
      return;
    }
    requireKnownRevision(req);
    const initialize = body.messages.find(isInitialize);
    if (initialize && body.batch) {
      throw new EdgeError(400, 'Invalid Request: initialize must not be part of a batch', RPC.invalidRequest);
    }
    const gone = new AbortController();
    const onGone = (): void => gone.abort(clientLeft());
    res.once('close', onGone);
    const { calls, begun } = beginAll(req, upstream, body);
    try {
      const session = await this.sessionFor(req, upstream, body, gone.signal);
      await this.relay(res, upstream, session, begun, acceptedTypes(req), calls);
    } catch (error) {
      for (const call of calls.values()) call.refused(error);
      // What keeps the server from answering is an answer; what is wrong with the request is told by its status.
      if (!(error instanceof AppError)) throw error;
      const [only] = body.messages;
      sendError(res, error, only?.kind === 'request' && !body.batch ? only.rawId : 'null');
    } finally {
      res.off('close', onGone);
    }
  }

  /** The session that the body is for, with a server process if the body needs one. */
  private async sessionFor(
    req: IncomingMessage,
    upstream: Upstream,
    { batch, messages }: ParsedBody,
    gone: AbortSignal,
  ): Promise<HttpSession> {
    const initialize = messages.some(isInitialize);
    if (initialize && !isOfSession(req)) {
      const opened = await this.sessions.open(upstream, gone);
      opened.claimInitialize();
      return opened;
    }
    // Looked up once more: it may have ended while the body came.
    const session = this.require(req, upstream);
    if (initialize && !session.claimInitialize()) {
      throw new EdgeError(400, 'Invalid Request: the session is already initialized', RPC.invalidRequest);
    }
    if (batch && !session.acceptsBatches) {
      throw new EdgeError(400, 'Invalid Request: this revision has no batches', RPC.invalidRequest);
    }
    const requests = messages.filter((message) => message.kind === 'request');
    // Of several none can be given up alone.
    const only = requests.length === 1 ? requests[0] : undefined;
    const waking = requests.length > 0 && session.session.ready(gone, only);
    if (waking) {
      await waking;
      upstream.onOpened();
    }
    return session;
  }

  private async relay(
    res: ServerResponse,
    upstream: Upstream,
    session: HttpSession,
    { batch, messages }: ParsedBody,
    accepted: Accepted,
    calls: Map<Envelope, Call>,
  ): Promise<void> {
    const requestIds = messages.flatMap((message) => (message.kind === 'request' ? [message.rawId] : []));
    if (requestIds.length === 0) {
      for (const message of messages) await session.session.fromClient(message, NOWHERE);
      sendEmpty(res, 202);
      return;
    }
    const initialize = messages.some(isInitialize);
    const release = upstream.lease();
    const handshake = initialize ? this.limitHandshake(session, upstream.handshakeMs) : undefined;
    const post = { accepted, batch, requestIds, opensSession: initialize };
    const reply = new PostReply(res, session, post, () => {
      clearTimeout(handshake);
      release();
      this.sessions.touch(session);
      // A session that was refused, or whose client left before it learned the id, is nobody's.
      if (initialize && (session.session.protocolVersion === undefined || res.closed)) this.drop(session);
      else if (initialize) upstream.onOpened();
    });
    for (const message of messages) {
      const call = calls.get(message);
      await session.session.fromClient(message, call ? watchedOutlet(reply, call) : reply);
    }
  }

  /** A server that never answers `initialize` is ended, and with it its place in the deployment's limit. */
  private limitHandshake(session: HttpSession, ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.drop(session, `The server did not answer initialize within ${ms / 1000} s`);
    }, ms);
  }

  private drop(session: HttpSession, fault?: string): void {
    // It has its own deadlines and never rejects.
    void this.sessions.end(session, fault);
  }

  private listen(req: IncomingMessage, res: ServerResponse, upstream: Upstream): void {
    requireEventStream(acceptedTypes(req));
    requireKnownRevision(req);
    const session = this.require(req, upstream);
    const header = req.headers['last-event-id'];
    const last = header === undefined ? undefined : parseEventId(String(header));
    if (header !== undefined && !(last && session.canResume(last))) {
      throw new EdgeError(400, 'Bad Request: Last-Event-ID names no stream that can be resumed');
    }
    session.listen(new SseConnection(res), last);
    // What keeps it from a process is told to its next request.
    if (upstream.isServingAll) session.rejoin().catch(() => undefined);
  }

  private async end(req: IncomingMessage, res: ServerResponse, upstream: Upstream): Promise<void> {
    requireKnownRevision(req);
    const session = this.require(req, upstream);
    await this.sessions.end(session);
    sendEmpty(res, 200);
  }

  private require(req: IncomingMessage, upstream: Upstream): HttpSession {
    const id = req.headers['mcp-session-id'];
    if (id === undefined) throw new EdgeError(400, 'Bad Request: Mcp-Session-Id header is required');
    const session = this.sessions.find(String(id), upstream);
    if (!session) throw new EdgeError(404, 'Session not found', RPC.sessionNotFound);
    return session;
  }
}

/** The requests of a body as calls, and the body as it goes on. */
function beginAll(
  req: IncomingMessage,
  { calls, owner }: Upstream,
  body: ParsedBody,
): { calls: Map<Envelope, Call>; begun: ParsedBody } {
  const trace = traceOfHeaders(req.headers);
  const all = new Map<Envelope, Call>();
  const messages = body.messages.map((message) => {
    if (message.kind !== 'request') return message;
    const { call, request } = calls.begin('streamable_http', owner.deploymentId, message, trace);
    all.set(request, call);
    return request;
  });
  return { calls: all, begun: { ...body, messages } };
}

function notAllowed(allow: string): EdgeError {
  return new EdgeError(405, 'Method Not Allowed', RPC.serverError, { allow });
}

/** Requests of the modern era have no session, whatever their headers say. */
function isOfSession(req: IncomingMessage): boolean {
  return req.headers['mcp-session-id'] !== undefined && !isModernHeader(req.headers);
}

function isInitialize(message: Envelope): boolean {
  return message.kind === 'request' && message.method === 'initialize';
}

/** For messages that have no answer. */
const NOWHERE = { open: false, deliver: () => undefined };
