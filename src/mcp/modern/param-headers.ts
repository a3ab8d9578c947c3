import type { IncomingHttpHeaders } from 'node:http';
import { scanObject, startOf } from '../jsonrpc/json-scanner.js';
import { decodeHeaderValue } from './header-value.js';
import { mismatch } from './modern-checks.js';

/** A parameter of a tool that clients repeat in a header `Mcp-Param-…`. */
export interface ParamHeader {
  /** Name behind `Mcp-Param-`. */
  header: string;
  /** Members from the tool's arguments to the value. */
  path: string[];
}

interface Schema {
  properties?: unknown;
  'x-mcp-header'?: unknown;
}

/** An HTTP token, as header names are. */
const NAME = /^[!#$%&'*+.^_`|~\w-]{1,100}$/;
const MAX_DEPTH = 16;
const MAX_HEADERS = 100;

/** What a tool's inputSchema declares. Only what a chain of `properties` reaches counts (revision 2026-07-28, tools). */
export function paramHeadersIn(inputSchema: unknown): ParamHeader[] {
  const found: ParamHeader[] = [];
  const visit = (schema: unknown, path: string[]): void => {
    if (!isObject(schema) || path.length > MAX_DEPTH || found.length >= MAX_HEADERS) return;
    const { properties, 'x-mcp-header': header } = schema as Schema;
    if (typeof header === 'string' && NAME.test(header)) found.push({ header, path });
    if (!isObject(properties)) return;
    for (const [name, property] of Object.entries(properties)) visit(property, [...path, name]);
  };
  visit(inputSchema, []);
  return found;
}

/** Throws where a header does not say what the argument says. `rawArguments` is `params.arguments` as JSON text. */
export function requireParamHeaders(
  declared: readonly ParamHeader[],
  headers: IncomingHttpHeaders,
  rawArguments: string | undefined,
): void {
  for (const { header, path } of declared) {
    const name = `Mcp-Param-${header}`;
    const value = headers[name.toLowerCase()];
    const argument = scalarAt(rawArguments, path);
    if (argument === undefined) {
      if (value !== undefined) throw mismatch(`the header ${name} stands for an argument that is not there`);
      continue;
    }
    if (value === undefined) throw mismatch(`the header ${name} is missing`);
    const decoded = decodeHeaderValue(String(value));
    if (decoded === undefined) throw mismatch(`the header ${name} cannot be read`);
    if (!isSame(decoded, argument)) throw mismatch(`the header ${name} differs from the body`);
  }
}

/** The argument where it is one that a header can repeat, as JSON text; an object, a list or null has no header. */
export function rawScalarAt(rawArguments: string | undefined, path: string[]): string | undefined {
  let raw = rawArguments;
  for (const name of path) {
    const member: { start: number; end: number } | undefined =
      raw === undefined ? undefined : scanObject(raw, startOf(raw), [name]).members[name];
    raw = member && raw?.slice(member.start, member.end);
  }
  return raw !== undefined && /^["\dtf-]/.test(raw) ? raw : undefined;
}

function scalarAt(rawArguments: string | undefined, path: string[]): string | number | boolean | undefined {
  const raw = rawScalarAt(rawArguments, path);
  return raw === undefined ? undefined : (JSON.parse(raw) as string | number | boolean);
}

function isSame(header: string, argument: string | number | boolean): boolean {
  if (typeof argument !== 'number') return header === String(argument);
  return /^-?\d+(\.\d+)?$/.test(header) && Number(header) === argument;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
