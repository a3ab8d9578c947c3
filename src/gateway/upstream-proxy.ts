import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { createProxyServer } from 'httpxy';
import { AppError } from '../errors/app-error.js';
import { oddType, requirePassable } from '../mcp/channels/http-answer.js';
import type { HttpEndpoint } from '../mcp/channels/http-endpoint.js';
import {
  discard,
  explainFailure,
  HttpFault,
  limitConnect,
  mediaTypeOf,
  withLastWords,
} from '../mcp/channels/http-exchange.js';
import { EdgeError, sendError } from '../mcp/edges/http/http-reply.js';
import { awaitTurn } from '../mcp/edges/http/pipelining.js';
import { errorText, RPC } from '../mcp/jsonrpc/json-rpc.js';
import { SessionDirectory, type SessionOwner } from '../mcp/sessions/session-directory.js';
import { bodiless, isEmpty, pump } from './proxy-answer.js';
import { headersForClient, headersForServer } from './proxy-headers.js';
import { ProxySession } from './proxy-session.js';
import { nothing, targetOf } from './proxy-target.js';
import { ProxyUpload } from './proxy-upload.js';

/** Requests of all clients of a deployment that are under way; each holds two sockets. */
const MAX_UNDER_WAY = 1024;
/** Streams that one session listens to; clients have one. */
const MAX_LISTENING = 8;
const SESSION_ID = /^[\x21-\x7e]{1,1024}$/;
const SERVER_EXITED = { code: 'server_exited' };
const RETRY_AFTER = { 'retry-after': '1' };

export interface ProxyTarget {
  owner: SessionOwner;
  endpoint: HttpEndpoint;
  maxSessions: number;
  maxMessageBytes: number;
  /** `modern`: a request that stands for itself; a session id in it means nothing. */
  era: 'handshake' | 'modern';
  /** A request begins; call the result when it is answered. */
  lease(): () => void;
}

interface Exchange {
  target: ProxyTarget;
  session: { id: string; is: ProxySession } | undefined;
  upload: ProxyUpload | undefined;
  request: ClientRequest | undefined;
}

/**
 * Streamable HTTP on both sides, in one era: bodies pass as they are, with back-pressure both ways. Session ids do not:
 * the client knows one of ours, bound to deployment and principal, and the server its own.
 */
export class UpstreamProxy {
  private readonly proxy = createProxyServer({ selfHandleResponse: true, ignorePath: true, xfwd: false });
  private readonly exchanges = new WeakMap<ServerResponse, Exchange>();
  private readonly underWay = new Map<string, number>();

  /** @param onFault gets what should not have happened, for the log */
  constructor(
    private readonly sessions: SessionDirectory,
    private readonly onFault: (error: unknown) => void,
  ) {
    this.proxy.on('proxyReq', (request, req, res) => {
      const exchange = this.exchanges.get(res);
      if (exchange) exchange.request = request;
      if (request.socket) limitConnect(request, request.socket);
      // An attempt to upgrade ends with neither an answer nor an error.
      const silent = (): void => {
        void this.fail(new HttpFault('closed the connection without an answer'), req, res);
      };
      const told = (): void => void request.off('close', silent);
      request.once('close', silent).once('response', told).once('error', told);
    });
    this.proxy.on('proxyRes', (answer, req, res) => void this.answer(answer, req, res));
    this.proxy.on('error', (error, req, res) => {
      if (req && res && 'req' in res) void this.fail(error, req, res);
    });
  }

  /** Answers every request, whatever goes wrong; resolves when the answer is over; never rejects. */
  async handle(req: IncomingMessage, res: ServerResponse, target: ProxyTarget): Promise<void> {
    try {
      if (!(await awaitTurn(req, res))) return;
      await this.exchange(req, res, target);
    } catch (error) {
      this.refuse(req, res, error);
    }
  }

  private async exchange(req: IncomingMessage, res: ServerResponse, target: ProxyTarget): Promise<void> {
    const { method = '' } = req;
    if (method !== 'POST' && method !== 'GET' && method !== 'DELETE') {
      throw new EdgeError(405, 'Method Not Allowed', RPC.serverError, { allow: 'GET, POST, DELETE' });
    }
    const { owner, endpoint } = target;
    const session = this.sessionOf(req, target);
    const length = lengthOf(req);
    if (length !== undefined && length > target.maxMessageBytes) throw tooLarge(target);
    const leave = this.enter(owner.deploymentId, session?.is, method);
    const release = method === 'GET' ? undefined : target.lease();
    try {
      const upload = method === 'POST' ? this.uploadOf(req, res, target) : undefined;
      this.exchanges.set(res, { target, session, upload, request: undefined });
      req.headers = headersForServer(req.headers, {
        host: endpoint.host,
        sessionId: session?.is.upstreamId,
        contentLength: method === 'POST' ? length : undefined,
      });
      const closed = new Promise<void>((resolve) => {
        res.once('close', resolve);
      });
      // Without a body of our own the proxy would pass the client's on, which has no length there, and stand for a request.
      if (!upload) req.resume();
      const options = { target: targetOf(endpoint), agent: endpoint.agent, buffer: upload ?? nothing() };
      // What goes wrong with it comes as an event too.
      this.proxy.web(req, res, options).catch(() => undefined);
      await closed;
    } finally {
      release?.();
      leave();
      if (session) this.sessions.touch(session.id);
    }
  }

  private sessionOf(req: IncomingMessage, { owner, era }: ProxyTarget): Exchange['session'] {
    const id = req.headers['mcp-session-id'];
    if (id === undefined || era === 'modern') return undefined;
    const session = this.sessions.find(String(id), owner, ProxySession);
    if (!session) throw new EdgeError(404, 'Session not found', RPC.sessionNotFound);
    const revision = req.headers['mcp-protocol-version'];
    if (typeof revision === 'string') session.revision = revision;
    return { id: String(id), is: session };
  }

  /** Count a request in; the result counts it out. */
  private enter(deploymentId: string, session: ProxySession | undefined, method: string): () => void {
    const others = this.underWay.get(deploymentId) ?? 0;
    if (others >= MAX_UNDER_WAY) {
      const message = `Service Unavailable: ${MAX_UNDER_WAY} requests to this deployment are under way`;
      throw new EdgeError(503, message, RPC.serverError, RETRY_AFTER);
    }
    const count = method === 'GET' ? 'listening' : 'inFlight';
    if (session && count === 'listening' && session.listening >= MAX_LISTENING) {
      throw new EdgeError(409, `Conflict: the session listens to ${MAX_LISTENING} streams; close one`);
    }
    this.underWay.set(deploymentId, others + 1);
    if (session) session[count]++;
    return () => {
      if (session) session[count]--;
      const left = (this.underWay.get(deploymentId) ?? 1) - 1;
      if (left > 0) this.underWay.set(deploymentId, left);
      else this.underWay.delete(deploymentId);
    };
  }

  private uploadOf(req: IncomingMessage, res: ServerResponse, target: ProxyTarget): ProxyUpload {
    return req.pipe(new ProxyUpload(target.maxMessageBytes, () => this.refuse(req, res, tooLarge(target))));
  }

  private async answer(answer: IncomingMessage, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const exchange = this.exchanges.get(res);
    if (!exchange || res.headersSent || res.closed) {
      answer.destroy();
      return;
    }
    // The proxy would destroy the client's answer together with the server's, before anybody could say why.
    await Promise.resolve();
    answer
      .removeAllListeners('close')
      .removeAllListeners('error')
      .on('error', () => undefined);
    try {
      const { statusCode: status = 0 } = answer;
      requirePassable(answer);
      const id = this.followSession(exchange, req, answer, status);
      if (isEmpty(answer, status) || (req.method === 'DELETE' && status < 300)) {
        res.writeHead(status, headersForClient(bodiless(answer), id)).end();
        discard(answer);
        return;
      }
      const type = mediaTypeOf(answer);
      if (type !== 'application/json' && type !== 'text/event-stream') {
        // A refusal keeps its status, which clients go by; its page does not pass.
        throw status < 400
          ? oddType(answer)
          : new EdgeError(status, `The server answered with HTTP ${status}`);
      }
      res.writeHead(status, headersForClient(answer, id));
      res.flushHeaders();
      if (!(await pump(answer, res))) await this.breakOff(exchange, res, type);
    } catch (error) {
      answer.destroy();
      if (error instanceof HttpFault) void this.fail(error, req, res);
      else this.refuse(req, res, error);
    }
  }

  /** What the answer means for the session; the id of it that the client is told. */
  private followSession(
    { session, target }: Exchange,
    req: IncomingMessage,
    answer: IncomingMessage,
    status: number,
  ): string | undefined {
    if (session) {
      if (req.method === 'DELETE' || status === 404) {
        session.is.markEnded();
        this.sessions.remove(session.id);
      }
      return session.id;
    }
    const upstreamId = answer.headers['mcp-session-id'];
    const opens = target.era === 'handshake' && req.method === 'POST' && status >= 200 && status < 300;
    if (!opens || upstreamId === undefined) return undefined;
    if (typeof upstreamId !== 'string' || !SESSION_ID.test(upstreamId)) {
      throw new HttpFault('gave a session id that is not visible ASCII of at most 1024 characters');
    }
    const opened = new ProxySession(target.endpoint, upstreamId);
    try {
      this.sessions.reserve(target.owner.deploymentId, target.maxSessions);
    } catch (error) {
      // It has its own deadline and never rejects.
      void opened.close();
      throw error;
    }
    const id = SessionDirectory.newId();
    this.sessions.add(id, target.owner, opened);
    // Its sessions end with the process.
    opened.whenGone(() => this.sessions.remove(id));
    return id;
  }

  /** The server did not answer, or not with something that may pass. */
  private async fail(failure: unknown, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const exchange = this.exchanges.get(res);
    // Whoever passes an answer on sees it break off.
    if (res.headersSent || res.closed || !exchange) return;
    const { endpoint } = exchange.target;
    const why = withLastWords(endpoint, await explainFailure(endpoint, failure));
    this.refuse(req, res, new EdgeError(502, `Bad Gateway: ${why}`));
  }

  /**
   * A request whose event stream broke off is still waited for, and its client cannot know that the process is gone that
   * would have answered.
   */
  private async breakOff({ target, upload }: Exchange, res: ServerResponse, type: string): Promise<void> {
    const { endpoint } = target;
    const why = await explainFailure(endpoint, new Error('it broke off its answer'));
    const ids = type === 'text/event-stream' && endpoint.gone.aborted ? (upload?.requestIds() ?? []) : [];
    const error = { code: RPC.serverError, message: withLastWords(endpoint, why), data: SERVER_EXITED };
    // What was cut off becomes part of an event that clients do not know.
    if (ids.length > 0) res.write('\nevent: interrupted\n\n');
    for (const id of ids) res.write(`event: message\ndata: ${errorText(id, error)}\n\n`);
    if (ids.length > 0) res.end();
    else res.destroy();
  }

  private refuse(req: IncomingMessage, res: ServerResponse, error: unknown): void {
    const exchange = this.exchanges.get(res);
    const known = error instanceof EdgeError || error instanceof AppError;
    if (!known && !res.closed) this.onFault(error);
    if (res.headersSent) res.destroy();
    else sendError(res, known ? error : new AppError('internal_error'));
    // The rest of the upload has nowhere to go, and would keep the client from reading its answer.
    req.unpipe();
    req.resume();
    exchange?.upload?.destroy();
    exchange?.request?.destroy();
  }
}

function lengthOf({ headers }: IncomingMessage): number | undefined {
  const header = headers['content-length'];
  return header === undefined ? undefined : Number(header);
}

function tooLarge({ maxMessageBytes }: ProxyTarget): EdgeError {
  return new EdgeError(413, `Payload Too Large: a message may have ${maxMessageBytes} bytes`);
}
