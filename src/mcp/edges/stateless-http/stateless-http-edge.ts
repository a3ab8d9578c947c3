import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../../../errors/app-error.js';
import type { Envelope } from '../../jsonrpc/envelope.js';
import { checkModernRequest } from '../../modern/modern-checks.js';
import { LISTEN, type ModernRequest } from '../../modern/modern-request.js';
import type { WarmServers } from '../../modern/warm-servers.js';
import type { Call } from '../calls/call.js';
import { traceOfHeaders } from '../calls/trace-context.js';
import { watchedOutlet } from '../calls/watched-outlet.js';
import { clientLeft, EdgeError, sendEmpty, sendError } from '../http/http-reply.js';
import { acceptedTypes } from '../streamable-http/request-checks.js';
import type { Upstream } from '../upstream.js';
import { StatelessReply } from './stateless-reply.js';

/** The Streamable HTTP transport of revision 2026-07-28: each POST is a request that stands for itself. */
export class StatelessHttpEdge {
  constructor(private readonly servers: WarmServers) {}

  /** Answer a POST of the modern era whose body is read. Throws only what is a fault. */
  async post(
    req: IncomingMessage,
    res: ServerResponse,
    upstream: Upstream,
    message: Envelope | undefined,
  ): Promise<void> {
    // The revision defines no notifications of clients over HTTP, so there is nothing to do with one.
    if (message?.kind !== 'request') {
      sendEmpty(res, 202);
      return;
    }
    const trace = traceOfHeaders(req.headers);
    const { calls, owner, arrivedAt } = upstream;
    const begun = calls.begin('streamable_http', owner.deploymentId, message, trace, arrivedAt);
    const { call } = begun;
    res.once('close', () => call.cancelled());
    try {
      const request = checkModernRequest(begun.request, req.headers);
      await this.answer(req, res, upstream, request, call);
    } catch (error) {
      call.refused(error);
      if (!(error instanceof EdgeError) && !(error instanceof AppError)) throw error;
      sendError(res, error, message.rawId);
    }
  }

  private async answer(
    req: IncomingMessage,
    res: ServerResponse,
    upstream: Upstream,
    request: ModernRequest,
    call: Call,
  ): Promise<void> {
    const isListening = request.message.method === LISTEN;
    const accepted = acceptedTypes(req);
    if (isListening && !accepted.sse) {
      throw new EdgeError(406, `Not Acceptable: ${LISTEN} is answered by text/event-stream only`);
    }
    const gone = new AbortController();
    res.once('close', () => gone.abort(clientLeft()));
    if (!isListening) res.once('close', upstream.lease());
    const reply = new StatelessReply(res, accepted);
    gone.signal.addEventListener('abort', () => reply.stop(), { once: true });
    try {
      const outlet = watchedOutlet(reply, call);
      const relayed = await this.servers.request(request, outlet, upstream, req.headers, gone.signal);
      // A client that leaves cancels (revision 2026-07-28, basic/transports).
      if (gone.signal.aborted) relayed.cancel();
      else gone.signal.addEventListener('abort', () => relayed.cancel(), { once: true });
      await relayed.sent;
    } catch (error) {
      call.refused(error);
      const known = error instanceof EdgeError || error instanceof AppError;
      reply.fail(known ? error : new AppError('internal_error'), request.message.rawId);
      // What fails because the client left is no fault.
      if (!known && !res.closed) throw error;
    }
  }
}
