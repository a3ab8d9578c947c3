import { rawMembers, type Response, stringIn } from '../jsonrpc/envelope.js';
import { RPC } from '../jsonrpc/json-rpc.js';
import { SERVER_INFO } from './meta-keys.js';
import { changed } from './object-change.js';

/** Methods whose results say how long they may be kept (2026-07-28, server/utilities/caching). */
const CACHEABLE = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
]);

/** Codes of the handshake era that the modern one forbids. */
export const HANDSHAKE_RPC = { resourceNotFound: -32002, urlElicitationRequired: -32042 } as const;

/** The server needs a capability that the client did not declare (2026-07-28). */
export const MISSING_CAPABILITY = -32021;

/** What is known of a request whose answer is translated. */
export interface Asked {
  method: string;
  rawId: string;
  /** Of a resource, as JSON text. */
  rawUri: string | undefined;
}

/** An answer of a handshake-era server as one of the modern era. `serverInfo` as JSON text. */
export function modernAnswer(answer: Response, asked: Asked, serverInfo: string | undefined): string {
  if (answer.error) return modernError(answer, asked);
  const { text, result } = answer;
  if (!result || text[result.start] !== '{') {
    return errorLine(asked.rawId, RPC.internalError, "The server's result is not an object");
  }
  if (asked.method === 'resources/read' && isEmptyList(rawMembers(answer, result, ['contents']).contents)) {
    return errorLine(asked.rawId, RPC.invalidParams, 'Resource not found', uriData(asked));
  }
  return changed(text, {
    put: { id: asked.rawId },
    within: {
      result: {
        put: {
          resultType: '"complete"',
          ...(CACHEABLE.has(asked.method) && { ttlMs: '0', cacheScope: '"private"' }),
        },
        within: { _meta: serverInfo === undefined ? {} : { fill: { [SERVER_INFO]: serverInfo } } },
      },
    },
  });
}

/** The code of an error answer; undefined where it has none that is a number. */
export function errorCode(answer: Response): number | undefined {
  const { code } = rawMembers(answer, answer.error, ['code']);
  return code !== undefined && /^-?\d+$/.test(code) ? Number(code) : undefined;
}

/** An error response as JSON text; `data` is JSON text too. */
export function errorLine(rawId: string, code: number, message: string, data?: string): string {
  const tail = data === undefined ? '' : `,"data":${data}`;
  return `{"jsonrpc":"2.0","id":${rawId},"error":{"code":${code},"message":${JSON.stringify(message)}${tail}}}`;
}

function modernError(answer: Response, asked: Asked): string {
  const { rawId, rawUri, method } = asked;
  const code = errorCode(answer);
  const isAboutResource =
    method === 'resources/read' && (code === HANDSHAKE_RPC.resourceNotFound || code === RPC.invalidParams);
  const isForbidden =
    code === HANDSHAKE_RPC.resourceNotFound || code === HANDSHAKE_RPC.urlElicitationRequired;
  const { message } = rawMembers(answer, answer.error, ['message']);
  return changed(answer.text, {
    put: { id: rawId },
    within: {
      error: {
        put: {
          ...(isForbidden && { code: String(RPC.invalidParams) }),
          ...(code === undefined && { code: String(RPC.internalError) }),
          ...(stringIn(message) === undefined && { message: '"The server did not say why"' }),
        },
        within: { data: isAboutResource && rawUri !== undefined ? { fill: { uri: rawUri } } : {} },
      },
    },
  });
}

function uriData({ rawUri }: Asked): string | undefined {
  return rawUri === undefined ? undefined : `{"uri":${rawUri}}`;
}

function isEmptyList(raw: string | undefined): boolean {
  return raw !== undefined && /^\[\s*\]$/.test(raw);
}
