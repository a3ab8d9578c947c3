import { rawMembers, type Request, stringIn } from '../jsonrpc/envelope.js';
import { scanObject, startOf, type TextRange } from '../jsonrpc/json-scanner.js';
import { LOG_LEVELS } from '../modern/log-levels.js';
import { META } from '../modern/modern-request.js';
import { type ClientCapabilities, readCapabilities } from './asked-capability.js';

/** Methods whose request may be answered by a question to the client (2026-07-28, basic/patterns/mrtr). */
const CALLS: readonly string[] = ['tools/call', 'prompts/get', 'resources/read'];

const PARAMS = ['_meta', 'inputResponses', 'requestState', 'notifications', 'uri'] as const;
/** A longer one is not repeated in an error. */
const MAX_URI_CHARS = 8192;

/** What translation reads of a request of the modern era. */
export interface ModernRequestParts {
  /** Where the params begin. */
  paramsAt: number | undefined;
  /** Its answer may be a question. */
  isCall: boolean;
  capabilities: ClientCapabilities;
  /** Position among the log levels; undefined where the client wants no messages, or names no level that exists. */
  logLevel: number | undefined;
  /** JSON text. */
  rawUri: string | undefined;
  rawRequestState: string | undefined;
  rawNotifications: string | undefined;
  inputResponses: TextRange | undefined;
}

export function partsOf(request: Request): ModernRequestParts {
  const { text } = request;
  const { params } = scanObject(text, startOf(text), ['params']).members;
  const { _meta: envelope, ...ranges } = params ? scanObject(text, params.start, PARAMS).members : {};
  const meta = rawMembers(request, envelope, [META.clientCapabilities, META.logLevel]);
  const raw = (range: TextRange | undefined): string | undefined =>
    range && text.slice(range.start, range.end);
  const rawUri = raw(ranges.uri);
  return {
    paramsAt: params?.start,
    isCall: CALLS.includes(request.method),
    capabilities: readCapabilities(meta[META.clientCapabilities]),
    logLevel: levelIn(meta[META.logLevel]),
    rawUri: rawUri?.startsWith('"') === true && rawUri.length <= MAX_URI_CHARS ? rawUri : undefined,
    rawRequestState: raw(ranges.requestState),
    rawNotifications: raw(ranges.notifications),
    inputResponses: ranges.inputResponses,
  };
}

/** The position of a log level, given as JSON text, among all; they grow more severe. */
export function levelIn(raw: string | undefined): number | undefined {
  const level = LOG_LEVELS.indexOf(stringIn(raw) ?? '');
  return level < 0 ? undefined : level;
}

export function levelName(level: number): string {
  return LOG_LEVELS[level] ?? 'debug';
}
