import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../../errors/app-error.js';
import { InvalidMessageError } from '../../jsonrpc/invalid-message.error.js';
import { RPC } from '../../jsonrpc/json-rpc.js';
import type { WarmServers } from '../../modern/warm-servers.js';
import { SessionDirectory, type SessionOwner } from '../../sessions/session-directory.js';
import { ConnectionSession } from '../connection/connection-session.js';
import { openChannel, startSession } from '../connection/open-session.js';
import { traceOfHeaders } from '../calls/trace-context.js';
import { readMessages } from '../http/body.js';
import { EdgeError, sendEmpty, sendError } from '../http/http-reply.js';
import { MessageMemory } from '../http/message-memory.js';
import { awaitTurn } from '../http/pipelining.js';
import { acceptedTypes, requireEventStream, requireJsonBody } from '../streamable-http/request-checks.js';
import type { Upstream } from '../upstream.js';
import { SseClient } from './sse-client.js';

/**
 * The HTTP+SSE transport of revision 2024-11-05, on two endpoints that are siblings: GET …/sse is the session, and what
 * the client says to it comes as POST …/messages?sessionId=…
 */
export class SseEdge {
  /** @param onFault gets what should not have happened, for the log */
  constructor(
    private readonly sessions: SessionDirectory,
    private readonly servers: WarmServers,
    private readonly onFault: (error: unknown, req?: IncomingMessage) => void,
    private readonly memory = new MessageMemory(),
  ) {}

  /** Answers every request to …/sse, whatever goes wrong; never rejects. */
  stream(req: IncomingMessage, res: ServerResponse, upstream: Upstream): Promise<void> {
    return this.answer(req, res, async () => {
      requireMethod(req, 'GET');
      requireEventStream(acceptedTypes(req));
      await this.open(res, upstream);
    });
  }

  /** Answers every request to …/messages, whatever goes wrong; never rejects. */
  message(req: IncomingMessage, res: ServerResponse, upstream: Upstream): Promise<void> {
    return this.answer(req, res, async () => {
      requireMethod(req, 'POST');
      requireJsonBody(req);
      // Before the body, so that nobody uploads megabytes to a session that does not exist.
      const session = this.require(req, upstream.owner);
      await this.take(req, session, upstream);
      sendEmpty(res, 202);
    });
  }

  private async answer(req: IncomingMessage, res: ServerResponse, work: () => Promise<void>): Promise<void> {
    try {
      if (await awaitTurn(req, res)) await work();
    } catch (error) {
      const known = error instanceof EdgeError || error instanceof AppError;
      // What fails because the client left is no fault.
      if (!known && !res.closed) this.onFault(error, req);
      sendError(res, known ? error : new AppError('internal_error'));
    }
  }

  private async open(res: ServerResponse, upstream: Upstream): Promise<void> {
    const gone = new AbortController();
    const onGone = (): void => gone.abort();
    res.once('close', onGone);
    const id = SessionDirectory.newId();
    const channel = await openChannel(this.sessions, id, upstream, gone.signal).finally(() =>
      res.off('close', onGone),
    );
    // Relative, because a proxy in front of us may have another scheme, host and path.
    const client = new SseClient(res, `messages?sessionId=${id}`);
    const session = startSession(this.sessions, id, channel, client, upstream, this.servers);
    if (res.closed) session.leave();
    else res.once('close', () => session.leave());
  }

  private async take(req: IncomingMessage, session: ConnectionSession, upstream: Upstream): Promise<void> {
    const memory = this.memory.lease(upstream.owner.deploymentId);
    try {
      const body = await readMessages(req, upstream.maxMessageBytes, memory);
      // It may have ended while the body came.
      if (session.closed) throw notFound();
      await session.receive(body, traceOfHeaders(req.headers));
    } catch (error) {
      if (!(error instanceof InvalidMessageError)) throw error;
      throw new EdgeError(400, `Invalid Request: ${error.message}`, RPC.invalidRequest);
    } finally {
      memory.release();
    }
  }

  private require(req: IncomingMessage, owner: SessionOwner): ConnectionSession {
    const [, query = ''] = (req.url ?? '').split('?', 2);
    const id = new URLSearchParams(query).get('sessionId');
    if (id === null) {
      throw new EdgeError(400, 'Bad Request: post to the address of the endpoint event, with its sessionId');
    }
    const session = this.sessions.find(id, owner, ConnectionSession);
    if (!session) throw notFound();
    return session;
  }
}

function requireMethod(req: IncomingMessage, allow: 'GET' | 'POST'): void {
  if (req.method !== allow) throw new EdgeError(405, 'Method Not Allowed', RPC.serverError, { allow });
}

function notFound(): EdgeError {
  return new EdgeError(404, 'Session not found', RPC.sessionNotFound);
}
