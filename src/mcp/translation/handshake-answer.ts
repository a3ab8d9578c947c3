import { rawMembers, type Response, stringIn } from '../jsonrpc/envelope.js';
import { RPC } from '../jsonrpc/json-rpc.js';
import { scanArray, scanObject, type TextRange } from '../jsonrpc/json-scanner.js';
import { SERVER_INFO } from './meta-keys.js';
import { errorCode, errorLine, HANDSHAKE_RPC, MISSING_CAPABILITY } from './modern-answer.js';
import { changed, type ObjectChange } from './object-change.js';

const CACHE_HINTS = new Set(['resultType', 'ttlMs', 'cacheScope']);
const UNSUPPORTED_VERSION = -32022;
/** A member of `requiredCapabilities` that is repeated for a person. */
const MAX_DETAIL_CHARS = 500;

/** The request that is answered: its id as JSON text. */
export interface Answered {
  rawId: string;
  method: string;
}

/** `resultType` of a result; one that is absent means "complete" (2026-07-28, basic/index). */
export function resultTypeOf(answer: Response): string {
  const { resultType } = rawMembers(answer, answer.result, ['resultType']);
  return resultType === undefined ? 'complete' : (stringIn(resultType) ?? 'unknown');
}

/** An answer of a modern server, which asks for nothing more, as one of the handshake era. */
export function handshakeAnswer(answer: Response, { rawId, method }: Answered): string {
  const { text, result } = answer;
  if (!result) return handshakeError(answer, { rawId, method });
  if (text[result.start] !== '{')
    return errorLine(rawId, RPC.internalError, "The server's result is not an object");
  const type = resultTypeOf(answer);
  if (type !== 'complete') {
    const message = `The server answered with a result of the type ${JSON.stringify(type.slice(0, 100))}, which clients of the handshake era cannot take`;
    return errorLine(rawId, RPC.internalError, message);
  }
  const stripped: ObjectChange = {
    drop: (name) => CACHE_HINTS.has(name),
    within: { _meta: { drop: (name) => name === SERVER_INFO } },
  };
  if (method === 'tools/call') withObjectContent(answer, result, stripped);
  if (method === 'tools/list') withObjectSchemas(answer, result, stripped);
  return changed(text, { put: { id: rawId }, within: { result: stripped } });
}

function handshakeError(answer: Response, { rawId, method }: Answered): string {
  const code = errorCode(answer);
  const { data } = rawMembers(answer, answer.error, ['data']);
  if (code === MISSING_CAPABILITY) {
    const { requiredCapabilities } = rawPartsOf(data, ['requiredCapabilities']);
    const what = requiredCapabilities?.slice(0, MAX_DETAIL_CHARS) ?? 'some that it does not name';
    const message = `The server needs capabilities that the client did not declare in initialize: ${what}`;
    return errorLine(rawId, RPC.invalidRequest, message, data);
  }
  if (code === UNSUPPORTED_VERSION) {
    const message = 'The server does not speak the revision that its clients are translated to';
    return errorLine(rawId, RPC.internalError, message, data);
  }
  const isNotFound =
    method === 'resources/read' && code === RPC.invalidParams && rawPartsOf(data, ['uri']).uri !== undefined;
  return changed(answer.text, {
    put: { id: rawId },
    within: { error: isNotFound ? { put: { code: String(HANDSHAKE_RPC.resourceNotFound) } } : {} },
  });
}

/** Before revision 2026-07-28 structured content was an object; clients refuse what is not. */
function withObjectContent(answer: Response, result: TextRange, change: ObjectChange): void {
  const { structuredContent, content } = rawMembers(answer, result, ['structuredContent', 'content']);
  if (structuredContent === undefined || structuredContent.startsWith('{')) return;
  const { drop } = change;
  change.drop = (name) => name === 'structuredContent' || drop?.(name) === true;
  if (content !== undefined && !/^\[\s*\]$/.test(content)) return;
  change.put = { content: `[{"type":"text","text":${JSON.stringify(structuredContent)}}]` };
}

/** Likewise the schemas of structured content. */
function withObjectSchemas({ text }: Response, result: TextRange, change: ObjectChange): void {
  const { tools } = scanObject(text, result.start, ['tools']).members;
  let list = '';
  let at = tools?.start ?? 0;
  for (const tool of (tools && scanArray(text, tools.start)?.elements) ?? []) {
    const { outputSchema } = scanObject(text, tool.start, ['outputSchema']).members;
    const type = outputSchema && scanObject(text, outputSchema.start, ['type']).members.type;
    if (!outputSchema || (type && text.slice(type.start, type.end) === '"object"')) continue;
    const kept = changed(text.slice(tool.start, tool.end), { drop: (name) => name === 'outputSchema' });
    list += text.slice(at, tool.start) + kept;
    at = tool.end;
  }
  if (tools && list !== '') change.put = { tools: list + text.slice(at, tools.end) };
}

function rawPartsOf<Name extends string>(
  raw: string | undefined,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  if (raw === undefined) return {};
  const { members } = scanObject(raw, 0, names);
  const parts: Partial<Record<Name, string>> = {};
  for (const name of names)
    if (members[name]) parts[name] = raw.slice(members[name].start, members[name].end);
  return parts;
}
