import { type Request } from '../jsonrpc/envelope.js';
import { paramOf } from '../jsonrpc/param.js';

/** More than any client has to say about itself. */
const MAX_READ_CHARS = 1 << 16;

/** A ClientCapabilities object, as far as it counts for requests to a client. */
export interface ClientCapabilities {
  elicitation?: { form?: object; url?: object };
  sampling?: { tools?: object };
  roots?: object;
}

/** What a request to the client needs the client to have declared. */
export interface Need {
  capability: ClientCapabilities;
  /** For a person. */
  name: string;
}

/** Reads a client's capabilities; none where they are missing or no object of sensible size. */
export function readCapabilities(raw: string | undefined): ClientCapabilities {
  if (raw === undefined || !raw.startsWith('{') || raw.length > MAX_READ_CHARS) return {};
  return JSON.parse(raw) as ClientCapabilities;
}

/** What this request needs; undefined where no client can be asked it in the modern era (2026-07-28, basic/patterns/mrtr). */
export function needOf(request: Request): Need | undefined {
  switch (request.method) {
    case 'roots/list':
      return { capability: { roots: {} }, name: 'roots' };
    case 'sampling/createMessage':
      return has(request, 'tools') || has(request, 'toolChoice')
        ? { capability: { sampling: { tools: {} } }, name: 'sampling with tools' }
        : { capability: { sampling: {} }, name: 'sampling' };
    case 'elicitation/create':
      return paramOf(request, 'mode') === '"url"' ? URL_ELICITATION : FORM_ELICITATION;
    default:
      return undefined;
  }
}

export const URL_ELICITATION: Need = { capability: { elicitation: { url: {} } }, name: 'elicitation by URL' };
const FORM_ELICITATION: Need = { capability: { elicitation: { form: {} } }, name: 'elicitation by form' };

/** Whether a client with these capabilities can be asked. An `elicitation` that names no mode means forms. */
export function covers(declared: ClientCapabilities, { capability }: Need): boolean {
  if (capability.roots) return isObject(declared.roots);
  if (capability.sampling) {
    return isObject(declared.sampling) && (!capability.sampling.tools || isObject(declared.sampling.tools));
  }
  const { elicitation } = declared;
  if (!isObject(elicitation)) return false;
  if (capability.elicitation?.url) return isObject(elicitation.url);
  return isObject(elicitation.form) || !isObject(elicitation.url);
}

/** One object that names all that is needed. */
export function combined(needs: Iterable<Need>): ClientCapabilities {
  const all: ClientCapabilities = {};
  for (const { capability } of needs) {
    if (capability.roots) all.roots = {};
    if (capability.sampling) all.sampling = { ...all.sampling, ...capability.sampling };
    if (capability.elicitation) all.elicitation = { ...all.elicitation, ...capability.elicitation };
  }
  return all;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function has(request: Request, name: string): boolean {
  return paramOf(request, name) !== undefined;
}
