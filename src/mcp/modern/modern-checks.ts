import type { IncomingHttpHeaders } from 'node:http';
import { type Request, stringIn } from '../jsonrpc/envelope.js';
import { RPC } from '../jsonrpc/json-rpc.js';
import { decodeHeaderValue } from './header-value.js';
import { MODERN_RPC, ModernError } from './modern-error.js';
import {
  isNamed,
  META,
  MODERN_REVISIONS,
  type ModernRequest,
  rawEnvelopeOf,
  type RawEnvelope,
  readModernRequest,
} from './modern-request.js';

/**
 * Methods of earlier revisions that this one has not, and the server's own: a server that speaks both eras knows them,
 * but must not be asked (revision 2026-07-28, basic/index).
 */
const REMOVED_METHODS = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);

/** Whether the header names a modern revision, which makes the request one. */
export function isModernHeader(headers: IncomingHttpHeaders): boolean {
  const revision = headers['mcp-protocol-version'];
  return typeof revision === 'string' && MODERN_REVISIONS.includes(revision.trim());
}

/**
 * The checks of a modern request that need nothing of the server, in the order of revision 2026-07-28: envelope, header
 * against envelope, revision, standard headers, method. Throws `ModernError`. `headers` undefined: the transport has none.
 */
export function checkModernRequest(
  message: Request,
  headers: IncomingHttpHeaders | undefined,
): ModernRequest {
  const envelope = rawEnvelopeOf(message);
  const revision = requireEnvelope(envelope);
  if (headers) requireSame(headers, 'MCP-Protocol-Version', revision);
  if (!MODERN_REVISIONS.includes(revision)) {
    throw new ModernError(
      400,
      MODERN_RPC.unsupportedVersion,
      `Unsupported protocol version ${short(revision)}`,
      {
        supported: MODERN_REVISIONS,
        requested: revision.slice(0, 100),
      },
    );
  }
  const request = readModernRequest(message, envelope);
  if (headers) {
    requireSame(headers, 'Mcp-Method', message.method);
    if (isNamed(message.method)) requireSame(headers, 'Mcp-Name', request.name);
  }
  if (REMOVED_METHODS.has(message.method)) {
    throw new ModernError(
      404,
      RPC.methodNotFound,
      `Method not found: ${short(message.method)} is not in ${revision}`,
    );
  }
  return request;
}

/** The revision that the envelope names; throws where a part of the envelope is missing or malformed. */
function requireEnvelope(envelope: RawEnvelope): string {
  const revision = stringIn(envelope[META.protocolVersion]);
  const problems = [
    ...(revision === undefined ? [`${META.protocolVersion} must be a string`] : []),
    ...(envelope[META.clientCapabilities]?.startsWith('{') === true
      ? []
      : [`${META.clientCapabilities} must be an object`]),
    ...problemOf(envelope, META.clientInfo, '{', 'an object'),
    ...problemOf(envelope, META.logLevel, '"', 'a string'),
  ];
  if (revision === undefined || problems.length > 0) {
    throw new ModernError(
      400,
      RPC.invalidParams,
      `Invalid params: in params._meta ${problems.join(' and ')}`,
    );
  }
  return revision;
}

function problemOf(
  envelope: RawEnvelope,
  key: (typeof META)[keyof typeof META],
  start: string,
  kind: string,
): string[] {
  const raw = envelope[key];
  return raw === undefined || raw.startsWith(start) ? [] : [`${key} must be ${kind}`];
}

/** Intermediaries route by these headers, so they must say what the body says. */
function requireSame(headers: IncomingHttpHeaders, name: string, expected: string | undefined): void {
  const value = headers[name.toLowerCase()];
  if (value === undefined) {
    if (expected === undefined) return;
    throw mismatch(`the header ${name} is missing`);
  }
  const decoded = decodeHeaderValue(String(value));
  if (decoded === undefined) throw mismatch(`the header ${name} cannot be read`);
  if (decoded !== expected) throw mismatch(`the header ${name} differs from the body`);
}

export function mismatch(detail: string): ModernError {
  return new ModernError(400, MODERN_RPC.headerMismatch, `Header mismatch: ${detail}`);
}

function short(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
