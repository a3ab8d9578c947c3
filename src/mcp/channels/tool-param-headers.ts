import { rawMembers, type Request, type Response } from '../jsonrpc/envelope.js';
import { paramOf } from '../jsonrpc/param.js';
import { rawEnvelopeOf, readModernRequest } from '../modern/modern-request.js';
import { type ParamHeader, rawScalarAt } from '../modern/param-headers.js';
import {
  type AskTools,
  collectToolHeaders,
  learnToolHeaders,
  MAX_LIST_CHARS,
} from '../modern/tool-headers.js';
import { encodeHeaderValue } from './modern-headers.js';

/** Of one request, together; servers take less. */
const MAX_HEADER_CHARS = 65_536;
const NUMBER = /^-?\d+(\.\d+)?$/;
const HEADER_MISMATCH = '-32020';

/**
 * The headers `Mcp-Param-…` that calls of a modern server's tools need (2026-07-28, server/tools). What tools declare is
 * learnt from the lists that pass; where none has before a call, the server is asked, once.
 */
export class ToolParamHeaders {
  private known = new Map<string, ParamHeader[]>();
  /** Of the pages that are known. */
  private listChars = 0;
  private complete = false;
  private listing: Promise<void> | undefined;

  constructor(private readonly ask: AskTools) {}

  /** What an answer that passes says of the tools. */
  learn(request: Request, answer: Response): void {
    if (request.method === 'tools/list') this.listed(request, answer);
    if (request.method === 'tools/call') this.called(answer);
  }

  /** A page of tools; the first one begins a new list. */
  private listed(request: Request, answer: Response): void {
    if (!answer.result) return;
    if (paramOf(request, 'cursor') === undefined) this.forget();
    this.listChars += answer.text.length;
    if (this.listChars > MAX_LIST_CHARS) return;
    collectToolHeaders(answer, this.known);
    if (rawMembers(answer, answer.result, ['nextCursor']).nextCursor === undefined) this.complete = true;
  }

  /** A server that misses a header has other tools than it had. */
  private called(answer: Response): void {
    if (rawMembers(answer, answer.error, ['code']).code !== HEADER_MISMATCH) return;
    this.forget();
  }

  /** For a `tools/call`. Never rejects. */
  async of(call: Request): Promise<Record<string, string>> {
    if (this.complete && this.known.size === 0) return {};
    const { name, arguments: range } = readModernRequest(call, rawEnvelopeOf(call));
    if (name === undefined || !range) return {};
    if (!this.complete) await (this.listing ??= this.list());
    const declared = this.known.get(name);
    return declared ? headersFor(declared, call.text.slice(range.start, range.end)) : {};
  }

  private async list(): Promise<void> {
    this.known = await learnToolHeaders(this.ask);
    this.complete = true;
    this.listing = undefined;
  }

  private forget(): void {
    this.known = new Map();
    this.listChars = 0;
    this.complete = false;
  }
}

/** What is too long for a header is left out; the server says that it misses it. */
function headersFor(declared: readonly ParamHeader[], rawArguments: string): Record<string, string> {
  const headers: Record<string, string> = {};
  let room = MAX_HEADER_CHARS;
  for (const { header, path } of declared) {
    const raw = rawScalarAt(rawArguments, path);
    room -= raw?.length ?? 0;
    if (raw === undefined || room < 0) continue;
    // A number goes as it was written, because there are more digits than a number here holds.
    headers[`mcp-param-${header.toLowerCase()}`] = NUMBER.test(raw)
      ? raw
      : encodeHeaderValue(String(JSON.parse(raw)));
  }
  return headers;
}
