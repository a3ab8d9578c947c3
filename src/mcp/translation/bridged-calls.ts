import {
  type Notification,
  parseMessage,
  rawMembers,
  rawSlot,
  type Request,
  type Response,
  stringIn,
  withSlots,
} from '../jsonrpc/envelope.js';
import { errorText, RPC } from '../jsonrpc/json-rpc.js';
import { scanObject, startOf } from '../jsonrpc/json-scanner.js';
import { combined, covers, needOf, URL_ELICITATION } from './asked-capability.js';
import { BridgedCall } from './bridged-call.js';
import { handshakeRequest } from './handshake-request.js';
import { errorCode, errorLine, HANDSHAKE_RPC, MISSING_CAPABILITY, modernAnswer } from './modern-answer.js';
import { levelIn, levelName, type ModernRequestParts } from './modern-request-parts.js';
import { ParkedCalls } from './parked-calls.js';
import type { RequestSeal } from './request-seal.js';
import { urlQuestions } from './url-elicitation.js';

const MAX_IN_FLIGHT = 1000;
/** Of an answer that has to wait until its client comes back. */
const MAX_OUTCOME_CHARS = 4 << 20;

export interface BridgeIo {
  seal: RequestSeal;
  principal: string;
  now: () => number;
  toClient(text: string): Promise<void> | undefined;
  toServer(text: string): Promise<void> | undefined;
  /** Ask or tell the server for ourselves; what it answers does not matter. */
  tellServer(method: string, params: object): void;
  /** A request id that the server has not seen. */
  takeId(): number;
}

/** The requests of modern clients that a handshake-era server works on. */
export class BridgedCalls {
  /** An Implementation as JSON text. */
  private serverInfo: string | undefined;
  private canLog = false;
  private serverLevel: number | undefined;
  /** By our id. */
  private readonly calls = new Map<number, BridgedCall>();
  private readonly parked: ParkedCalls;

  constructor(private readonly io: BridgeIo) {
    this.parked = new ParkedCalls({
      ...io,
      abandon: (call, reason) => this.abandon(call, reason),
    });
  }

  get parkedCalls(): number {
    return this.parked.size;
  }

  holds(requestState: string): boolean {
    return this.parked.holds(requestState);
  }

  /** What the handshake brought to light. */
  learn({ serverInfo, canLog }: { serverInfo: string | undefined; canLog: boolean }): void {
    this.serverInfo = serverInfo;
    this.parked.serverInfo = serverInfo;
    this.canLog = canLog;
  }

  /** A request of the client that the server has to answer. May answer it at once. */
  request(message: Request, parts: ModernRequestParts): Promise<void> | undefined {
    const { method, rawId } = message;
    if (parts.isCall && parts.rawRequestState !== undefined) return this.retry(message, parts);
    if (this.calls.size + this.parked.size >= MAX_IN_FLIGHT) {
      return this.io.toClient(
        errorLine(rawId, RPC.serverError, `More than ${MAX_IN_FLIGHT} requests are in flight`),
      );
    }
    const canPark = parts.isCall && Object.keys(parts.capabilities).length > 0;
    const call = new BridgedCall(method, parts, canPark ? message : undefined);
    call.attach(message);
    return this.forward(call, message);
  }

  /** The client does not want an answer any more. */
  cancel(rawId: string): void {
    const call = [...this.calls.values()].findLast((one) => one.rawId === rawId);
    if (call) this.abandon(call, 'The client cancelled the request');
  }

  /** The server's answer; to what nobody asked, or not any more, it is dropped. */
  answer(message: Response): Promise<void> | undefined {
    const id = Number(message.rawId);
    const call = this.calls.get(id);
    if (!call) return undefined;
    this.calls.delete(id);
    call.upstreamId = undefined;
    // What it still asked it wants to know no more.
    call.stopCollecting();
    call.questions.clear();
    if (call.rawId !== undefined) return this.conclude(call, message);
    call.outcome = keepable(message);
    return undefined;
  }

  /** A request of the server to the client. */
  push(message: Request): Promise<void> | undefined {
    const refuse = (text: string): Promise<void> | undefined =>
      this.io.toServer(errorText(message.rawId, { code: RPC.methodNotFound, message: text }));
    const need = needOf(message);
    if (!need) return refuse(`${message.method.slice(0, 100)} is not supported by this client`);
    const [call, ...others] = [...this.calls.values()].filter(({ parts }) => parts.isCall);
    if (!call) return refuse('Clients can be asked during a tools/call, prompts/get or resources/read only');
    if (others.length > 0)
      return refuse('More than one request is in flight on whose behalf this may be asked');
    if (covers(call.parts.capabilities, need)) return this.parked.ask(call, message);
    call.refused.set(need.name, need);
    return refuse(`The client does not support ${need.name}`);
  }

  progress(message: Notification): Promise<void> | undefined {
    const call = this.calls.get(Number(rawSlot(message, 'progressToken')));
    if (call?.rawToken === undefined) return undefined;
    return this.io.toClient(withSlots(message, { progressToken: call.rawToken }));
  }

  /** Only a request that asked for log messages may see some, and stdio does not say which one they are about. */
  log(message: Notification): Promise<void> | undefined {
    const all = [...this.calls.values()];
    const calls = all.filter(({ parts }) => parts.isCall);
    const [only, ...others] = calls.length > 0 ? calls : all;
    const wanted = only?.parts.logLevel;
    if (only?.rawId === undefined || wanted === undefined || others.length > 0) return undefined;
    const { params } = scanObject(message.text, startOf(message.text), ['params']).members;
    const level = levelIn(rawMembers(message, params, ['level']).level);
    return level === undefined || level < wanted ? undefined : this.io.toClient(message.text);
  }

  /** The server takes back a request to the client. */
  withdraw(message: Notification): void {
    const rawId = rawSlot(message, 'requestId');
    if (rawId === undefined) return;
    for (const call of this.calls.values()) if (this.parked.withdraw(call, rawId)) return;
  }

  /** The server is gone. */
  clear(): void {
    this.parked.clear(this.calls.values());
    this.calls.clear();
  }

  private forward(call: BridgedCall, message: Request): Promise<void> | undefined {
    const { logLevel, isCall } = call.parts;
    if (logLevel !== undefined && logLevel !== this.serverLevel && this.canLog) {
      this.serverLevel = logLevel;
      // Servers take their messages in order, so nothing has to wait for the answer.
      this.io.tellServer('logging/setLevel', { level: levelName(logLevel) });
    }
    const id = this.io.takeId();
    call.upstreamId = id;
    this.calls.set(id, call);
    return this.io.toServer(handshakeRequest(message, id, isCall));
  }

  /** The client's next request for a call that waits for it. */
  private retry(message: Request, parts: ModernRequestParts): Promise<void> | undefined {
    const call = this.parked.reopen(message, parts);
    if (!call) {
      const text = 'Invalid params: requestState is not valid, or no longer; make the request without it';
      return this.io.toClient(errorLine(message.rawId, RPC.invalidParams, text));
    }
    if (call.outcome) return this.io.toClient(this.finalText(call, call.outcome));
    const answered = this.parked.takeAnswered(call, message, parts);
    if (call.upstreamId === undefined) {
      if (answered.some(({ response }) => !isAccepted(response))) {
        const text = 'The server needs the user to open a URL, and the user did not';
        return this.io.toClient(errorLine(call.detach().rawId, RPC.serverError, text));
      }
      if (call.questions.size === 0) return this.forward(call, message);
    }
    let sent: Promise<void> | undefined;
    for (const { question, response } of answered) {
      if (question.serverId === undefined) continue;
      sent = this.io.toServer(`{"jsonrpc":"2.0","id":${question.serverId},"result":${response}}`);
    }
    // What is missing is asked again, and what came up meanwhile with it.
    return call.questions.size > 0 ? this.parked.park(call) : sent;
  }

  private conclude(call: BridgedCall, message: Response): Promise<void> | undefined {
    if (call.parts.isCall && errorCode(message) === HANDSHAKE_RPC.urlElicitationRequired) {
      const questions = urlQuestions(message);
      if (!covers(call.parts.capabilities, URL_ELICITATION)) {
        call.refused.set(URL_ELICITATION.name, URL_ELICITATION);
      } else if (questions.length > 0) {
        for (const [i, json] of questions.entries()) {
          call.questions.set(`url-${i + 1}`, { serverId: undefined, json });
        }
        return this.parked.park(call);
      }
    }
    return this.io.toClient(this.finalText(call, message));
  }

  private finalText(call: BridgedCall, message: Response): string {
    const asked = call.detach();
    const { isError } = rawMembers(message, message.result, ['isError']);
    // It was needed, if without it the call came to nothing (2026-07-28, basic/index, MissingRequiredClientCapability).
    if (call.refused.size > 0 && (message.error !== undefined || isError === 'true')) {
      const names = [...call.refused.keys()].join(', ');
      const data = JSON.stringify({ requiredCapabilities: combined(call.refused.values()) });
      const text = `This needs a client that declares ${names}`;
      return errorLine(asked.rawId, MISSING_CAPABILITY, text, data);
    }
    return modernAnswer(message, asked, this.serverInfo);
  }

  private abandon(call: BridgedCall, reason: string): void {
    if (call.upstreamId !== undefined) {
      this.calls.delete(call.upstreamId);
      this.io.tellServer('notifications/cancelled', { requestId: call.upstreamId, reason });
    }
    this.parked.drop(call, reason);
  }
}

function keepable(message: Response): Response {
  if (message.text.length <= MAX_OUTCOME_CHARS) return message;
  const text = `The answer came while the client answered questions, and has more than ${MAX_OUTCOME_CHARS} characters`;
  return parseMessage(errorLine(message.rawId, RPC.serverError, text)) as Response;
}

function isAccepted(response: string): boolean {
  const { action } = scanObject(response, 0, ['action']).members;
  return action !== undefined && stringIn(response.slice(action.start, action.end)) === 'accept';
}
