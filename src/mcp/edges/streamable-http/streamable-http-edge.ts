import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../../errors/app-error.js';
import type { Channel } from '../../channels/channel.js';
import { RPC } from '../../jsonrpc/json-rpc.js';
import { eraOf } from '../../modern/era.js';
import { isModernHeader } from '../../modern/modern-checks.js';
import { SessionDirectory, type SessionOwner } from '../../sessions/session-directory.js';
import type { StatelessHttpEdge } from '../stateless-http/stateless-http-edge.js';
import type { Upstream } from '../upstream.js';
import { readMessages } from '../http/body.js';
import { EdgeError, sendEmpty, sendError } from '../http/http-reply.js';
import { HttpSession } from './http-session.js';
import { type MemoryLease, MessageMemory } from '../http/message-memory.js';
import { awaitTurn } from '../http/pipelining.js';
import { PostReply } from './post-reply.js';
import { parseEventId } from './replay-log.js';
import {
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
    private readonly sessions: SessionDirectory,
    private readonly stateless: StatelessHttpEdge,
    private readonly onFault: (error: unknown) => void,
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
      if (!known && !res.closed) this.onFault(error);
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
    const accepted = acceptedTypes(req);
    requireAnswerable(accepted);
    requireJsonBody(req);
    // Before the body, so that nobody uploads megabytes to a session that does not exist.
    const present = isOfSession(req) ? this.require(req, upstream.owner) : undefined;
    const body = await readMessages(req, upstream.maxMessageBytes, memory);
    if (eraOf(req.headers, body) === 'modern') {
      await this.stateless.post(req, res, upstream, body.messages[0]);
      return;
    }
    requireKnownRevision(req);
    const { batch, messages } = body;
    const initialize = messages.find(
      (message) => message.kind === 'request' && message.method === 'initialize',
    );
    if (initialize && batch) {
      throw new EdgeError(400, 'Invalid Request: initialize must not be part of a batch', RPC.invalidRequest);
    }
    const session =
      present ?? (initialize ? await this.open(res, upstream) : this.require(req, upstream.owner));
    if (initialize && !session.claimInitialize()) {
      throw new EdgeError(400, 'Invalid Request: the session is already initialized', RPC.invalidRequest);
    }
    if (batch && !session.acceptsBatches) {
      throw new EdgeError(400, 'Invalid Request: this revision has no batches', RPC.invalidRequest);
    }
    const requests = messages.filter((message) => message.kind === 'request').length;
    if (requests === 0) {
      for (const message of messages) await session.session.fromClient(message, NOWHERE);
      sendEmpty(res, 202);
      return;
    }
    const release = upstream.lease();
    const handshake = initialize && this.limitHandshake(session, upstream.handshakeMs);
    const reply = new PostReply(
      res,
      session,
      { accepted, batch, requests, opensSession: initialize !== undefined },
      () => {
        clearTimeout(handshake);
        release();
        this.sessions.touch(session.id);
        // A session that was refused, or whose client left before it learned the id, is nobody's.
        if (initialize && (session.session.protocolVersion === undefined || res.closed)) this.drop(session);
        else if (initialize) upstream.onOpened();
      },
    );
    for (const message of messages) await session.session.fromClient(message, reply);
  }

  private async open(res: ServerResponse, upstream: Upstream): Promise<HttpSession> {
    const { owner } = upstream;
    this.sessions.reserve(owner.deploymentId, upstream.maxSessions);
    const gone = new AbortController();
    const onGone = (): void => gone.abort();
    res.once('close', onGone);
    let channel: Channel;
    try {
      channel = await upstream.openChannel(gone.signal);
    } catch (error) {
      this.sessions.release(owner.deploymentId);
      throw error;
    } finally {
      res.off('close', onGone);
    }
    const id = SessionDirectory.newId();
    const session = new HttpSession(id, channel, () => this.sessions.remove(id));
    this.sessions.add(id, owner, session);
    // It may have died while it was opened.
    if (channel.whyClosed) this.sessions.remove(id);
    return session;
  }

  /** A server that never answers `initialize` is ended, and with it its place in the deployment's limit. */
  private limitHandshake(session: HttpSession, ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.drop(session, `The server did not answer initialize within ${ms / 1000} s`);
    }, ms);
  }

  private drop(session: HttpSession, fault?: string): void {
    this.sessions.remove(session.id);
    // Closing has its own deadlines and never rejects.
    void session.close(fault);
  }

  private listen(req: IncomingMessage, res: ServerResponse, upstream: Upstream): void {
    requireEventStream(acceptedTypes(req));
    requireKnownRevision(req);
    const session = this.require(req, upstream.owner);
    const header = req.headers['last-event-id'];
    const last = header === undefined ? undefined : parseEventId(String(header));
    if (header !== undefined && !(last && session.hasStream(last))) {
      throw new EdgeError(400, 'Bad Request: Last-Event-ID names no stream that can be resumed');
    }
    session.listen(new SseConnection(res), last);
  }

  private async end(req: IncomingMessage, res: ServerResponse, upstream: Upstream): Promise<void> {
    requireKnownRevision(req);
    const session = this.require(req, upstream.owner);
    this.sessions.remove(session.id);
    await session.close();
    sendEmpty(res, 200);
  }

  private require(req: IncomingMessage, owner: SessionOwner): HttpSession {
    const id = req.headers['mcp-session-id'];
    if (id === undefined) throw new EdgeError(400, 'Bad Request: Mcp-Session-Id header is required');
    const session = this.sessions.find(String(id), owner, HttpSession);
    if (!session) throw new EdgeError(404, 'Session not found', RPC.sessionNotFound);
    return session;
  }
}

function notAllowed(allow: string): EdgeError {
  return new EdgeError(405, 'Method Not Allowed', RPC.serverError, { allow });
}

/** Requests of the modern era have no session, whatever their headers say. */
function isOfSession(req: IncomingMessage): boolean {
  return req.headers['mcp-session-id'] !== undefined && !isModernHeader(req.headers);
}

/** For messages that have no answer. */
const NOWHERE = { open: false, deliver: () => undefined };
