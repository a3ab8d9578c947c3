import { type Request, stringIn } from '../jsonrpc/envelope.js';
import { eachMember, scanObject, startOf } from '../jsonrpc/json-scanner.js';
import { errorText, RPC } from '../jsonrpc/json-rpc.js';
import type { BridgedCall, Question } from './bridged-call.js';
import { isReserved, SERVER_INFO } from './meta-keys.js';
import type { ModernRequestParts } from './modern-request-parts.js';
import { changed, nameAt } from './object-change.js';
import { digestOf } from './request-digest.js';
import type { RequestSeal } from './request-seal.js';

/** What a server asks at once comes in several messages; so long after the last one the client is asked. */
const COLLECT_MS = 25;
/** How long a person may take to answer. */
const ANSWER_MS = 600_000;
const LATE = `The client did not answer within ${ANSWER_MS / 1000} s`;
const MAX_PARKED = 100;
const MAX_QUESTIONS = 100;
/** Of all questions of a call together. */
const MAX_QUESTION_CHARS = 4 << 20;
/** Ids of the server that any client can take for the name of a member. */
const USABLE_KEY = /^[\w.-]{1,64}$/;

export interface ParkingLot {
  seal: RequestSeal;
  principal: string;
  now: () => number;
  toClient(text: string): Promise<void> | undefined;
  toServer(text: string): Promise<void> | undefined;
  /** A call whose client did not come back. */
  abandon(call: BridgedCall, reason: string): void;
}

/**
 * Calls that wait for their client: the questions of the server went out as the answer to its request, and the answers
 * come with the next request, which proves by a sealed `requestState` that it continues this call.
 */
export class ParkedCalls {
  private readonly parked = new Map<string, BridgedCall>();
  /** An Implementation as JSON text, for results. */
  serverInfo: string | undefined;
  private nextKey = 1;

  constructor(private readonly lot: ParkingLot) {}

  get size(): number {
    return this.parked.size;
  }

  /** Whether this `requestState` belongs to a call that is parked here. */
  holds(requestState: string): boolean {
    const state = this.lot.seal.open(requestState, this.lot.principal);
    return state !== undefined && this.parked.has(state.handle);
  }

  /** A request of the server to the client, which can be asked. */
  ask(call: BridgedCall, push: Request): Promise<void> | undefined {
    const problem = this.problemOf(call, push);
    if (problem !== undefined) {
      return this.lot.toServer(errorText(push.rawId, { code: RPC.serverError, message: problem }));
    }
    call.questions.set(this.keyOf(push), { serverId: push.rawId, json: questionText(push) });
    this.collect(call);
    return undefined;
  }

  /** The server takes a question back. */
  withdraw(call: BridgedCall, serverId: string): boolean {
    for (const [key, question] of call.questions) {
      if (question.serverId !== serverId) continue;
      call.questions.delete(key);
      if (call.questions.size === 0) call.stopCollecting();
      return true;
    }
    return false;
  }

  /** Ask now. The call's client must be waiting. */
  park(call: BridgedCall): Promise<void> | undefined {
    const { seal, principal, now } = this.lot;
    call.stopCollecting();
    if (this.parked.size >= MAX_PARKED) return this.refuseAll(call);
    if (call.request) {
      call.digest = digestOf(call.method, call.request.text, call.parts.paramsAt);
      call.request = undefined;
    }
    const expiresAt = now() + ANSWER_MS;
    call.round++;
    const state = { handle: call.handle, round: call.round, expiresAt, digest: call.digest ?? '' };
    this.parked.set(call.handle, call);
    call.expiry = setTimeout(() => this.lot.abandon(call, LATE), ANSWER_MS).unref();
    const { rawId } = call.detach();
    const questions = [...call.questions].map(([key, { json }]) => `${JSON.stringify(key)}:${json}`);
    const meta = this.serverInfo === undefined ? '' : `,"_meta":{"${SERVER_INFO}":${this.serverInfo}}`;
    return this.lot.toClient(
      `{"jsonrpc":"2.0","id":${rawId},"result":{"resultType":"input_required","inputRequests":{${questions.join(',')}},` +
        `"requestState":"${seal.seal(state, principal)}"${meta}}}`,
    );
  }

  /** The call that a request continues, which waits for its client no more; undefined where the request proves none. */
  reopen(request: Request, parts: ModernRequestParts): BridgedCall | undefined {
    const { seal, principal, now } = this.lot;
    const state = seal.open(stringIn(parts.rawRequestState) ?? '', principal);
    const call = state && this.parked.get(state.handle);
    if (!call || call.round !== state.round || state.expiresAt <= now()) return undefined;
    if (state.digest !== digestOf(request.method, request.text, parts.paramsAt)) return undefined;
    this.release(call);
    call.attach(request);
    return call;
  }

  /** Takes the questions that a request answers from the call. What it answers beyond them is ignored. */
  takeAnswered(
    call: BridgedCall,
    request: Request,
    { inputResponses }: ModernRequestParts,
  ): { question: Question; response: string }[] {
    const answered: { question: Question; response: string }[] = [];
    if (!inputResponses) return answered;
    const { text } = request;
    eachMember(text, inputResponses.start, (key, value) => {
      const name = nameAt(text, key);
      const question = call.questions.get(name);
      if (!question || text[value.start] !== '{') return;
      call.questions.delete(name);
      answered.push({ question, response: text.slice(value.start, value.end) });
    });
    return answered;
  }

  /** The call is over: the server, where it still waits for answers, gets none. */
  drop(call: BridgedCall, message: string): void {
    this.release(call);
    call.stopCollecting();
    for (const { serverId } of call.questions.values()) {
      if (serverId !== undefined) {
        void this.lot.toServer(errorText(serverId, { code: RPC.serverError, message }));
      }
    }
    call.questions.clear();
  }

  /** The server is gone. */
  clear(calls: Iterable<BridgedCall>): void {
    for (const call of [...calls, ...this.parked.values()]) {
      call.stopCollecting();
      this.release(call);
    }
  }

  private release(call: BridgedCall): void {
    clearTimeout(call.expiry);
    this.parked.delete(call.handle);
  }

  /** While the client is busy with earlier questions, new ones wait for its next request. */
  private collect(call: BridgedCall): void {
    if (call.rawId === undefined) return;
    call.collect(() => void this.park(call), COLLECT_MS);
  }

  private refuseAll(call: BridgedCall): Promise<void> | undefined {
    const message = `More than ${MAX_PARKED} calls wait for answers of the client; answer them first`;
    this.drop(call, message);
    if (call.upstreamId !== undefined) return undefined;
    const { rawId } = call.detach();
    return this.lot.toClient(errorText(rawId, { code: RPC.serverError, message }));
  }

  private problemOf(call: BridgedCall, push: Request): string | undefined {
    const asked = [...call.questions.values()];
    if (asked.length >= MAX_QUESTIONS) return `More than ${MAX_QUESTIONS} questions wait for the client`;
    if (asked.some(({ serverId }) => serverId === push.rawId)) {
      return 'A request with this id waits already';
    }
    const chars = asked.reduce((sum, { json }) => sum + json.length, push.text.length);
    return chars > MAX_QUESTION_CHARS
      ? `The questions to the client have more than ${MAX_QUESTION_CHARS} characters`
      : undefined;
  }

  /** The server's own name for its request where it gave it one: it is unique, and says more than a number. */
  private keyOf(push: Request): string {
    const name = stringIn(push.rawId);
    const isUsable = name !== undefined && USABLE_KEY.test(name) && !(name in {});
    return isUsable && !name.startsWith('question-') ? name : `question-${this.nextKey++}`;
  }
}

/** A request of the handshake era as an InputRequest, which knows neither ids nor progress nor tasks. */
function questionText(push: Request): string {
  const { text, method } = push;
  const { params } = scanObject(text, startOf(text), ['params']).members;
  const head = `"method":${JSON.stringify(method)}`;
  if (!params || text[params.start] !== '{') {
    return `{${head}${method === 'roots/list' ? '' : ',"params":{}'}}`;
  }
  const json = changed(text.slice(params.start, params.end), {
    drop: (name) => name === 'task' || (method === 'elicitation/create' && name === 'elicitationId'),
    within: { _meta: { drop: (name) => name === 'progressToken' || isReserved(name) } },
  });
  return `{${head},"params":${json}}`;
}
