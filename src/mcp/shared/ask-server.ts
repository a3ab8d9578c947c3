import { type Response, withSlots } from '../jsonrpc/envelope.js';
import { errorText, requestText, RPC } from '../jsonrpc/json-rpc.js';
import type { Outbox } from './outbox.js';
import type { Settle, SharedRequests } from './shared-requests.js';

/** Requests of ours are answered at once by any server that works. */
const ANSWER_MS = 30_000;

/** Requests that we make of the server for all its sessions. */
export class AskServer {
  constructor(
    private readonly requests: SharedRequests,
    private readonly outbox: Outbox,
  ) {}

  /** `settle` is called once, unless the process goes first. The result settles when the server has taken the request. */
  ask(method: string, params: object, settle: Settle, ms = ANSWER_MS): Promise<void> | undefined {
    const id = this.requests.addOwn(ms, settle);
    return this.outbox.send(requestText(id, method, params));
  }

  /** What a session gets that asked for the same, as JSON text. */
  answerTo(rawId: string, answer: Response | undefined): string {
    if (answer) return withSlots(answer, { id: rawId });
    const message = `The server did not answer within ${ANSWER_MS / 1000} s`;
    return errorText(rawId, { code: RPC.serverError, message });
  }
}
