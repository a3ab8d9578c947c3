import { randomUUID } from 'node:crypto';
import { rawMembers, type Request, type Response, stringIn } from '../jsonrpc/envelope.js';
import { notificationText, RPC } from '../jsonrpc/json-rpc.js';
import { eachMember, scanObject, type TextRange } from '../jsonrpc/json-scanner.js';
import type { ClientEnvelope } from './client-envelope.js';
import { handshakeAnswer, resultTypeOf } from './handshake-answer.js';
import { errorLine } from './modern-answer.js';
import { changed } from './object-change.js';

const MAX_IN_FLIGHT = 1000;
/** How often one call may ask; the reference client gives up as late. */
const MAX_ROUNDS = 10;
const MAX_QUESTIONS = 100;
/** How long a person may take to answer. */
const ANSWER_MS = 600_000;
/** Of requests that may have to be made again, of the questions about them and the answers, all calls together. */
const MAX_KEPT_CHARS = 32 << 20;
const TOO_MUCH = `and what else waits for answers have more than ${MAX_KEPT_CHARS} characters together`;
/** Methods whose answer may be a question (2026-07-28, basic/patterns/mrtr), and what can be asked. */
const CALLS = ['tools/call', 'prompts/get', 'resources/read'];
const ASKABLE = ['elicitation/create', 'sampling/createMessage', 'roots/list'];

interface Call {
  rawId: string;
  method: string;
  /** The client's request, for calls; it is made again with each round of answers. */
  text: string | undefined;
  upstreamId: number;
  rounds: number;
  /** What the client has not answered yet: our id → the key of the question, as JSON text. */
  questions: Map<number, string>;
  /** What it has, as members of `inputResponses`. */
  answers: string[];
  /** Of the questions and answers, whose messages stay in memory with them. */
  heldChars: number;
  rawState: string | undefined;
  deadline: NodeJS.Timeout | undefined;
}

export interface AskingIo {
  envelope: ClientEnvelope;
  toClient(text: string): Promise<void> | undefined;
  toServer(text: string): Promise<void> | undefined;
  takeId(): number;
}

/**
 * Requests of a handshake-era client at a modern server. A server that answers a call with questions gets the call again
 * with the answers, for which the client is asked by requests.
 */
export class AskingCalls {
  /** By the id of the request that is at the server. */
  private readonly calls = new Map<number, Call>();
  /** Calls whose client is asked, by the ids of the questions. */
  private readonly asking = new Map<number, Call>();
  private nextQuestionId = 1;
  private keptChars = 0;

  constructor(private readonly io: AskingIo) {}

  request({ text, rawId, method }: Request): Promise<void> | undefined {
    if (this.calls.size + this.asking.size >= MAX_IN_FLIGHT) {
      return this.io.toClient(
        errorLine(rawId, RPC.serverError, `More than ${MAX_IN_FLIGHT} requests are in flight`),
      );
    }
    const keeps = CALLS.includes(method) && this.keptChars + text.length <= MAX_KEPT_CHARS;
    if (keeps) this.keptChars += text.length;
    const call: Call = {
      rawId,
      method,
      text: keeps ? text : undefined,
      upstreamId: 0,
      rounds: 0,
      questions: new Map(),
      answers: [],
      heldChars: 0,
      rawState: undefined,
      deadline: undefined,
    };
    return this.forward(call, text);
  }

  /** The server's answer; to what nobody asked, or not any more, it is dropped. */
  answer(message: Response): Promise<void> | undefined {
    const call = this.calls.get(Number(message.rawId));
    if (!call) return undefined;
    this.calls.delete(call.upstreamId);
    if (message.result && CALLS.includes(call.method) && resultTypeOf(message) === 'input_required') {
      return this.ask(call, message, message.result);
    }
    this.release(call);
    return this.io.toClient(handshakeAnswer(message, call));
  }

  /** The client's answer to a question; to what nobody asked, or not any more, it is dropped. */
  reply(message: Response): Promise<void> | undefined {
    const id = Number(message.rawId);
    const call = this.asking.get(id);
    const key = call?.questions.get(id);
    if (!call || key === undefined) return undefined;
    this.asking.delete(id);
    call.questions.delete(id);
    const { text, result } = message;
    if (!result || text[result.start] !== '{') {
      const { message: why } = rawMembers(message, message.error, ['message']);
      return this.fail(
        call,
        `The server asked the client, which answered with an error: ${stringIn(why) ?? ''}`,
      );
    }
    if (!this.hold(call, text)) {
      return this.fail(
        call,
        `The client's answers ${TOO_MUCH}; answer with less, or call one after the other`,
      );
    }
    call.answers.push(`${key}:${text.slice(result.start, result.end)}`);
    return call.questions.size === 0 ? this.again(call) : undefined;
  }

  /** The client does not want an answer any more; false where it did not ask. */
  cancel(rawId: string, reason: string): boolean {
    const call = [...this.calls.values(), ...this.asking.values()].findLast((one) => one.rawId === rawId);
    if (!call) return false;
    if (this.calls.delete(call.upstreamId)) {
      void this.io.toServer(
        notificationText('notifications/cancelled', { requestId: call.upstreamId, reason }),
      );
    }
    this.withdraw(call, reason);
    this.release(call);
    return true;
  }

  /** The server is gone. */
  clear(): void {
    for (const call of this.asking.values()) clearTimeout(call.deadline);
    this.asking.clear();
    this.calls.clear();
    this.keptChars = 0;
  }

  private forward(call: Call, text: string, params?: Record<string, string>): Promise<void> | undefined {
    const id = this.io.takeId();
    call.upstreamId = id;
    this.calls.set(id, call);
    return this.io.toServer(this.io.envelope.wrap(text, id, params));
  }

  private ask(call: Call, message: Response, result: TextRange): Promise<void> | undefined {
    call.rounds++;
    if (call.rounds > MAX_ROUNDS) return this.fail(call, `The server asked more than ${MAX_ROUNDS} times`);
    if (call.text === undefined) {
      return this.fail(
        call,
        `Requests of more than ${MAX_KEPT_CHARS} characters together cannot be asked about`,
      );
    }
    const { members } = scanObject(message.text, result.start, ['inputRequests', 'requestState']);
    const { inputRequests, requestState } = members;
    call.rawState = requestState && message.text.slice(requestState.start, requestState.end);
    const questions = inputRequests ? questionsIn(message.text, inputRequests) : [];
    if (typeof questions === 'string') return this.fail(call, questions);
    if (questions.length === 0) {
      return call.rawState === undefined ? this.fail(call, 'The server asked for nothing') : this.again(call);
    }
    if (!this.hold(call, message.text)) return this.fail(call, `The server's questions ${TOO_MUCH}`);
    call.deadline = setTimeout(() => {
      void this.fail(call, `The client did not answer the server's questions within ${ANSWER_MS / 1000} s`);
    }, ANSWER_MS).unref();
    const sent: Promise<void>[] = [];
    const asked = questions.map((question) => ({ id: this.nextQuestionId++, ...question }));
    for (const { id, key } of asked) {
      call.questions.set(id, key);
      this.asking.set(id, call);
    }
    for (const { id, body } of asked) {
      // A client may answer while it is still being asked.
      const wait = this.asking.has(id) && this.io.toClient(`{"jsonrpc":"2.0","id":${id},${body}}`);
      if (wait) sent.push(wait);
    }
    return sent.length === 0 ? undefined : Promise.all(sent).then(() => undefined);
  }

  /** All is answered: make the request again. */
  private again(call: Call): Promise<void> | undefined {
    clearTimeout(call.deadline);
    const { answers, rawState, text } = call;
    const params = {
      ...(answers.length > 0 && { inputResponses: `{${answers.join(',')}}` }),
      ...(rawState !== undefined && { requestState: rawState }),
    };
    this.letGo(call);
    return this.forward(call, text ?? '{}', params);
  }

  private fail(call: Call, message: string): Promise<void> | undefined {
    this.withdraw(call, message);
    this.release(call);
    return this.io.toClient(errorLine(call.rawId, RPC.internalError, message));
  }

  private withdraw(call: Call, reason: string): void {
    clearTimeout(call.deadline);
    for (const id of call.questions.keys()) {
      this.asking.delete(id);
      void this.io.toClient(notificationText('notifications/cancelled', { requestId: id, reason }));
    }
    call.questions.clear();
  }

  private release(call: Call): void {
    this.keptChars -= call.text?.length ?? 0;
    call.text = undefined;
    this.letGo(call);
  }

  /** False: there is no room for what comes with this message. */
  private hold(call: Call, { length }: string): boolean {
    if (this.keptChars + length > MAX_KEPT_CHARS) return false;
    this.keptChars += length;
    call.heldChars += length;
    return true;
  }

  private letGo(call: Call): void {
    this.keptChars -= call.heldChars;
    call.heldChars = 0;
    call.answers = [];
    call.rawState = undefined;
  }
}

/** InputRequests as the keys they have and the members of the requests they become; a string says what is wrong. */
function questionsIn(text: string, range: TextRange): { key: string; body: string }[] | string {
  const questions: { key: string; body: string }[] = [];
  let problem: string | undefined;
  eachMember(text, range.start, (key, value) => {
    if (questions.length >= MAX_QUESTIONS)
      problem = `The server asked more than ${MAX_QUESTIONS} things at once`;
    if (problem !== undefined) return;
    const { method, params } = scanObject(text, value.start, ['method', 'params']).members;
    const name = stringIn(method && text.slice(method.start, method.end)) ?? '';
    if (!ASKABLE.includes(name)) {
      problem = `The server asked for ${JSON.stringify(name.slice(0, 100))}, which clients cannot be asked`;
      return;
    }
    const rawParams = params && text.slice(params.start, params.end);
    const body =
      rawParams === undefined
        ? ''
        : `,"params":${name === 'elicitation/create' ? named(rawParams) : rawParams}`;
    questions.push({ key: text.slice(key.start, key.end), body: `"method":"${name}"${body}` });
  });
  return problem ?? questions;
}

/** Before revision 2026-07-28 an elicitation by URL had an id. */
function named(params: string): string {
  const { mode } = params.startsWith('{') ? scanObject(params, 0, ['mode']).members : {};
  if (!mode || params.slice(mode.start, mode.end) !== '"url"') return params;
  return changed(params, { fill: { elicitationId: JSON.stringify(randomUUID()) } });
}
