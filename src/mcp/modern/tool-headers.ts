import { rawMembers, type Response, stringIn } from '../jsonrpc/envelope.js';
import { scanArray, scanObject, type TextRange } from '../jsonrpc/json-scanner.js';
import { META, MODERN_REVISIONS } from './modern-request.js';
import type { ModernServer } from './modern-server.js';
import { type ParamHeader, paramHeadersIn } from './param-headers.js';

const FRESH_MS = 60_000;
const LIST_MS = 10_000;
const MAX_PAGES = 50;
/** Of all pages: reading them holds everybody up. Tools beyond are not known here. */
export const MAX_LIST_CHARS = 2 * 1024 * 1024;
/** Of one tool's schema that declares headers. */
const MAX_SCHEMA_CHARS = 262_144;
const NONE: readonly ParamHeader[] = [];
const ENVELOPE = {
  [META.protocolVersion]: MODERN_REVISIONS[0],
  [META.clientCapabilities]: {},
};

/** Asks for a page of `tools/list`; undefined where none comes before the signal. */
export type AskTools = (params: object, signal: AbortSignal) => Promise<Response | undefined>;

/** Which arguments of a server's tools clients have to repeat in headers. Learnt from the server, and again every minute. */
export class ToolHeaders {
  private learnt: Promise<Map<string, ParamHeader[]>> | undefined;
  private learntAt = 0;

  async of(tool: string, server: ModernServer, now: number): Promise<readonly ParamHeader[]> {
    if (!this.learnt || now - this.learntAt > FRESH_MS) {
      this.learntAt = now;
      this.learnt = learnToolHeaders((params, signal) => server.ask('tools/list', params, signal));
    }
    return (await this.learnt).get(tool) ?? NONE;
  }
}

/** Never rejects: a server that cannot list its tools declares nothing. */
export async function learnToolHeaders(ask: AskTools): Promise<Map<string, ParamHeader[]>> {
  const found = new Map<string, ParamHeader[]>();
  const signal = AbortSignal.timeout(LIST_MS);
  let cursor: string | undefined;
  let chars = 0;
  for (let page = 0; page < MAX_PAGES; page++) {
    const params = { _meta: ENVELOPE, ...(cursor !== undefined && { cursor }) };
    const answer = await ask(params, signal);
    chars += answer?.text.length ?? 0;
    if (!answer || chars > MAX_LIST_CHARS) break;
    collectToolHeaders(answer, found);
    const next = stringIn(rawMembers(answer, answer.result, ['nextCursor']).nextCursor);
    if (next === undefined || next === cursor) break;
    cursor = next;
  }
  return found;
}

/** Adds what the tools of a page declare. */
export function collectToolHeaders(answer: Response, found: Map<string, ParamHeader[]>): void {
  const { text, result } = answer;
  // Nearly all servers declare none, and what they say need not be read then.
  if (!result || !text.includes('x-mcp-header')) return;
  const tools = scanObject(text, result.start, ['tools']).members.tools;
  for (const tool of (tools && scanArray(text, tools.start)?.elements) ?? []) {
    const { name, inputSchema } = scanObject(text, tool.start, ['name', 'inputSchema']).members;
    const schema = inputSchema && cut(text, inputSchema);
    if (!name || schema === undefined || !schema.includes('x-mcp-header')) continue;
    if (schema.length > MAX_SCHEMA_CHARS) continue;
    const declared = paramHeadersIn(JSON.parse(schema));
    const key = stringIn(cut(text, name));
    if (key !== undefined && declared.length > 0) found.set(key, declared);
  }
}

function cut(text: string, { start, end }: TextRange): string {
  return text.slice(start, end);
}
