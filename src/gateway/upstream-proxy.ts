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
} from '../mcp/channels/http-exchange.js';
import { withLastWords } from '../mcp/channels/last-words.js';
import type { Call } from '../mcp/edges/calls/call.js';
import { traceOfHeaders } from '../mcp/edges/calls/trace-context.js';
import { clientLeft, EdgeError, sendError } from '../mcp/edges/http/http-reply.js';
import { awaitTurn } from '../mcp/edges/http/pipelining.js';
import type { Upstream } from '../mcp/edges/upstream.js';
import { errorText, RPC } from '../mcp/jsonrpc/json-rpc.js';
import { bodiless, isEmpty, pump } from './proxy-answer.js';
import { headersForClient, headersForServer } from './proxy-headers.js';
import { targetOf } from './proxy-target.js';
import { ProxyUpload } from './proxy-upload.js';

/** Requests of all clients of a deployment that are under way; each holds two sockets. */
const MAX_UNDER_WAY = 1024;
const SERVER_EXITED = { code: 'server_exited' };
const RETRY_AFTER = { 'retry-after': '1' };

export interface ProxyTarget extends Pick<
  Upstream,
  'owner' | 'arrivedAt' | 'maxMessageBytes' | 'lease' | 'calls'
> {
  endpoint: HttpEndpoint;
}

/** What it takes to announce a request. */
type Announced = Pick<Upstream, 'owner' | 'arrivedAt' | 'calls'>;

interface Exchange {
  target: ProxyTarget;
  upload: ProxyUpload;
  request: ClientRequest | undefined;
  call: Call;
}

/**
 * Requests of the modern era (revision 2026-07-28) to a server that speaks it over Streamable HTTP: each stands for itself,
 * so bodies pass as they are, with back-pressure both ways. Conversations of the handshake era outlive the server's process,
 * which no proxy can give them; they go through edge, session and channel.
 */
export class UpstreamProxy {
  private readonly proxy = createProxyServer({ selfHandleResponse: true, ignorePath: true, xfwd: false });
  private readonly exchanges = new WeakMap<ServerResponse, Exchange>();
  private readonly underWay = new Map<string, number>();

  /** @param onFault gets what should not have happened, for the log */
  constructor(private readonly onFault: (error: unknown, req?: IncomingMessage) => void) {
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

  /** Answers a POST, whatever goes wrong; resolves when the answer is over; never rejects. */
  async handle(req: IncomingMessage, res: ServerResponse, target: ProxyTarget): Promise<void> {
    try {
      if (!(await awaitTurn(req, res))) throw clientLeft();
      await this.exchange(req, res, target);
    } catch (error) {
      if (!this.exchanges.has(res)) this.noteRefusal(req, target, error);
      this.refuse(req, res, error);
    }
  }

  private async exchange(req: IncomingMessage, res: ServerResponse, target: ProxyTarget): Promise<void> {
    // The body of anything else would reach the server as a request of its own.
    if (req.method !== 'POST') {
      throw new EdgeError(405, 'Method Not Allowed', RPC.serverError, { allow: 'POST' });
    }
    const { owner, endpoint } = target;
    const length = lengthOf(req);
    if (length !== undefined && length > target.maxMessageBytes) throw tooLarge(target);
    const leave = this.enter(owner.deploymentId);
    const release = target.lease();
    const { call, context } = beginCall(req, target);
    res.once('close', () => (res.writableFinished ? call.answeredWith(res.statusCode) : call.cancelled()));
    try {
      const upload = this.uploadOf(req, res, target);
      this.exchanges.set(res, { target, upload, request: undefined, call });
      const own = { host: endpoint.host, contentLength: length, trace: context };
      req.headers = headersForServer(req.headers, own);
      const closed = new Promise<void>((resolve) => {
        res.once('close', resolve);
      });
      const options = { target: targetOf(endpoint), agent: endpoint.agent, buffer: upload };
      // What goes wrong with it comes as an event too.
      this.proxy.web(req, res, options).catch(() => undefined);
      await closed;
    } finally {
      release();
      leave();
    }
  }

  /** Announce a request that was not passed on, for there is no server to be had. */
  noteRefusal(req: IncomingMessage, target: Announced, error: unknown): void {
    beginCall(req, target).call.refused(error);
  }

  /** Requests to the deployment that wait for their answer. */
  inFlight(deploymentId: string): number {
    return this.underWay.get(deploymentId) ?? 0;
  }

  /** Count a request in; the result counts it out. */
  private enter(deploymentId: string): () => void {
    const others = this.underWay.get(deploymentId) ?? 0;
    if (others >= MAX_UNDER_WAY) {
      const message = `Service Unavailable: ${MAX_UNDER_WAY} requests to this deployment are under way`;
      throw new EdgeError(503, message, RPC.serverError, RETRY_AFTER);
    }
    this.underWay.set(deploymentId, others + 1);
    return () => {
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
      if (isEmpty(answer, status)) {
        res.writeHead(status, headersForClient(bodiless(answer))).end();
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
      res.writeHead(status, headersForClient(answer));
      res.flushHeaders();
      if (!(await pump(answer, res))) await this.breakOff(exchange, res, type);
    } catch (error) {
      answer.destroy();
      if (error instanceof HttpFault) void this.fail(error, req, res);
      else this.refuse(req, res, error);
    }
  }

  /** The server did not answer, or not with something that may pass. */
  private async fail(failure: unknown, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const exchange = this.exchanges.get(res);
    // Whoever passes an answer on sees it break off.
    if (res.headersSent || res.closed || !exchange) return;
    const { endpoint } = exchange.target;
    const why = withLastWords(await explainFailure(endpoint, failure), endpoint.lastWords);
    this.refuse(req, res, new EdgeError(502, `Bad Gateway: ${why}`));
  }

  /**
   * A request whose event stream broke off is still waited for, and its client cannot know that the process is gone that
   * would have answered.
   */
  private async breakOff(
    { target, upload, call }: Exchange,
    res: ServerResponse,
    type: string,
  ): Promise<void> {
    call.answeredWith(502);
    const { endpoint } = target;
    const why = await explainFailure(endpoint, new Error('it broke off its answer'));
    const ids = type === 'text/event-stream' && endpoint.gone.aborted ? upload.requestIds() : [];
    const error = {
      code: RPC.serverError,
      message: withLastWords(why, endpoint.lastWords),
      data: SERVER_EXITED,
    };
    // What was cut off becomes part of an event that clients do not know.
    if (ids.length > 0) res.write('\nevent: interrupted\n\n');
    for (const id of ids) res.write(`event: message\ndata: ${errorText(id, error)}\n\n`);
    if (ids.length > 0) res.end();
    else res.destroy();
  }

  private refuse(req: IncomingMessage, res: ServerResponse, error: unknown): void {
    const exchange = this.exchanges.get(res);
    const known = error instanceof EdgeError || error instanceof AppError;
    if (!known && !res.closed) this.onFault(error, req);
    if (res.headersSent) res.destroy();
    else sendError(res, known ? error : new AppError('internal_error'));
    // The rest of the upload has nowhere to go, and would keep the client from reading its answer.
    req.unpipe();
    req.resume();
    exchange?.upload.destroy();
    exchange?.request?.destroy();
  }
}

/** What it is about, as its headers say, which servers check against the body. */
function beginCall({ headers }: IncomingMessage, { calls, owner, arrivedAt }: Announced) {
  const { 'mcp-method': method = '', 'mcp-name': name } = headers;
  const told = { method: String(method), name: name === undefined ? undefined : String(name), arrivedAt };
  return calls.beginUnread('streamable_http', owner.deploymentId, told, traceOfHeaders(headers));
}

function lengthOf({ headers }: IncomingMessage): number | undefined {
  const header = headers['content-length'];
  return header === undefined ? undefined : Number(header);
}

function tooLarge({ maxMessageBytes }: ProxyTarget): EdgeError {
  return new EdgeError(413, `Payload Too Large: a message may have ${maxMessageBytes} bytes`);
}
