import { rawMembers, type Response, stringIn } from '../jsonrpc/envelope.js';
import { scanObject } from '../jsonrpc/json-scanner.js';
import { MODERN_REVISIONS } from '../modern/modern-request.js';
import { hasCapability, type Notified } from './handshake-facts.js';
import { SERVER_INFO, TASKS } from './meta-keys.js';
import { changed } from './object-change.js';

/** Revisions that begin with a handshake, the newest last. */
const HANDSHAKE_REVISIONS = ['2024-10-07', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];
const NEWEST = '2025-11-25';
const MAX_ANSWER_CHARS = 1 << 20;
/** Clients want a name; modern servers need not have one. */
const NAMELESS = '{"name":"unnamed","version":"unknown"}';

/** What a modern server says of itself when it answers `server/discover`. */
export interface ModernFacts {
  /** The members of an InitializeResult as JSON text, without the version. */
  initialized: string;
  canLog: boolean;
  tells: Notified;
}

/** Reads the answer to `server/discover`; a string says, for a person, why it is none that can be worked with. */
export function readDiscovery(answer: Response): ModernFacts | string {
  if (answer.error) {
    const { message } = rawMembers(answer, answer.error, ['message']);
    return `The server refused server/discover: ${stringIn(message) ?? 'it did not say why'}`;
  }
  if (answer.text.length > MAX_ANSWER_CHARS) {
    return `The server's answer to server/discover has more than ${MAX_ANSWER_CHARS} characters`;
  }
  const raw = rawMembers(answer, answer.result, [
    'supportedVersions',
    'capabilities',
    'instructions',
    '_meta',
  ]);
  const versions: unknown = raw.supportedVersions === undefined ? [] : JSON.parse(raw.supportedVersions);
  if (!Array.isArray(versions) || !MODERN_REVISIONS.some((revision) => versions.includes(revision))) {
    return `The server speaks none of ${MODERN_REVISIONS.join(', ')}`;
  }
  const capabilities = raw.capabilities?.startsWith('{') === true ? raw.capabilities : '{}';
  const kept = changed(capabilities, {
    drop: (name) => name === 'tasks',
    within: { extensions: { drop: (name) => name === TASKS } },
  });
  const instructions = stringIn(raw.instructions) === undefined ? '' : `,"instructions":${raw.instructions}`;
  return {
    initialized: `"capabilities":${kept},"serverInfo":${infoIn(raw['_meta'])}${instructions}`,
    canLog: hasCapability(capabilities, 'logging'),
    tells: {
      toolsListChanged: hasCapability(capabilities, 'tools', 'listChanged'),
      promptsListChanged: hasCapability(capabilities, 'prompts', 'listChanged'),
      resourcesListChanged: hasCapability(capabilities, 'resources', 'listChanged'),
      resourceSubscriptions: hasCapability(capabilities, 'resources', 'subscribe'),
    },
  };
}

/** The revision to answer `initialize` with: the one that was asked for, or the newest. */
export function negotiated(requested: string | undefined): string {
  return requested !== undefined && HANDSHAKE_REVISIONS.includes(requested) ? requested : NEWEST;
}

function infoIn(meta: string | undefined): string {
  const range = meta === undefined ? undefined : scanObject(meta, 0, [SERVER_INFO]).members[SERVER_INFO];
  const raw = range && meta?.slice(range.start, range.end);
  if (raw?.startsWith('{') !== true) return NAMELESS;
  const { name, version } = JSON.parse(raw) as { name?: unknown; version?: unknown };
  return typeof name === 'string' && typeof version === 'string' ? raw : NAMELESS;
}
