import { rawMembers, type Response, stringIn } from '../jsonrpc/envelope.js';
import { startOf, scanObject } from '../jsonrpc/json-scanner.js';
import { MODERN_REVISIONS } from '../modern/modern-request.js';
import { SERVER_INFO, TASKS } from './meta-keys.js';
import { changed } from './object-change.js';

/** Longer than the answer to `initialize` of any server that was met, instructions included. */
const MAX_ANSWER_CHARS = 1 << 20;
const MAX_INFO_CHARS = 4096;
const MAX_NAME_CHARS = 200;

/** What a server of the handshake era says of itself when it answers `initialize`. */
export interface HandshakeFacts {
  /** An Implementation as JSON text, small enough to go with each result; undefined where the server names none. */
  serverInfo: string | undefined;
  /** The result of `server/discover` as JSON text. */
  discovered: string;
  canLog: boolean;
  /** What it notifies of. */
  tells: Notified;
}

/** Which of the notifications that go by `subscriptions/listen` there are. */
export interface Notified {
  toolsListChanged: boolean;
  promptsListChanged: boolean;
  resourcesListChanged: boolean;
  resourceSubscriptions: boolean;
}

/** Reads the answer to `initialize`; a string says, for a person, why it is none that can be worked with. */
export function readHandshake(answer: Response): HandshakeFacts | string {
  if (answer.error) {
    const { message } = rawMembers(answer, answer.error, ['message']);
    return `The server refused initialize: ${stringIn(message) ?? 'it did not say why'}`;
  }
  if (answer.text.length > MAX_ANSWER_CHARS) {
    return `The server's answer to initialize has more than ${MAX_ANSWER_CHARS} characters`;
  }
  const raw = rawMembers(answer, answer.result, [
    'protocolVersion',
    'capabilities',
    'serverInfo',
    'instructions',
  ]);
  if (stringIn(raw.protocolVersion) === undefined) {
    return "The server's answer to initialize names no protocol version";
  }
  const capabilities = raw.capabilities?.startsWith('{') === true ? raw.capabilities : '{}';
  const serverInfo = infoIn(raw.serverInfo);
  const has = (capability: string, flag?: string): boolean => hasCapability(capabilities, capability, flag);
  return {
    serverInfo,
    discovered: discoverResult(capabilities, raw.instructions, serverInfo),
    canLog: has('logging'),
    tells: {
      toolsListChanged: has('tools', 'listChanged'),
      promptsListChanged: has('prompts', 'listChanged'),
      resourcesListChanged: has('resources', 'listChanged'),
      resourceSubscriptions: has('resources', 'subscribe'),
    },
  };
}

/** Whether a ServerCapabilities object has a capability, or a flag of it that is set. */
export function hasCapability(capabilities: string, capability: string, flag?: string): boolean {
  const { [capability]: range } = scanObject(capabilities, startOf(capabilities), [capability]).members;
  if (!range || capabilities[range.start] !== '{') return false;
  if (flag === undefined) return true;
  const { [flag]: value } = scanObject(capabilities, range.start, [flag]).members;
  return value !== undefined && capabilities.startsWith('true', value.start);
}

function discoverResult(
  capabilities: string,
  instructions: string | undefined,
  serverInfo: string | undefined,
): string {
  const kept = changed(capabilities, {
    drop: (name) => name === 'tasks',
    within: { extensions: { drop: (name) => name === TASKS } },
  });
  const members = [
    `"resultType":"complete","supportedVersions":${JSON.stringify(MODERN_REVISIONS)},"capabilities":${kept}`,
    ...(stringIn(instructions) === undefined ? [] : [`"instructions":${instructions}`]),
    '"ttlMs":0,"cacheScope":"private"',
    ...(serverInfo === undefined ? [] : [`"_meta":{"${SERVER_INFO}":${serverInfo}}`]),
  ];
  return `{${members.join(',')}}`;
}

function infoIn(raw: string | undefined): string | undefined {
  if (raw === undefined || !raw.startsWith('{')) return undefined;
  const { members } = scanObject(raw, 0, ['name', 'version']);
  const name = members.name && stringIn(raw.slice(members.name.start, members.name.end));
  const version = members.version && stringIn(raw.slice(members.version.start, members.version.end));
  if (name === undefined || version === undefined) return undefined;
  if (raw.length <= MAX_INFO_CHARS) return raw;
  return JSON.stringify({ name: name.slice(0, MAX_NAME_CHARS), version: version.slice(0, MAX_NAME_CHARS) });
}
