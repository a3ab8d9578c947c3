import type Dockerode from 'dockerode';
import type { EngineCall } from '../sandbox-runtime.js';

interface DialOptions {
  path: string;
  method: string;
}
type Answered = (error: unknown, data: unknown) => void;

/** The part of the library that every call passes. */
interface Modem {
  dial(options: DialOptions, answered: Answered): unknown;
}

const THINGS = new Map([
  ['containers', 'container'],
  ['exec', 'process'],
  ['images', 'image'],
  ['networks', 'network'],
  ['volumes', 'volume'],
]);
/** Last words of paths that are verbs themselves. */
const VERBS = new Set([
  'create',
  'start',
  'stop',
  'kill',
  'wait',
  'update',
  'connect',
  'disconnect',
  'resize',
]);
const ALONE = new Map([
  ['_ping', 'ping'],
  ['info', 'describe_engine'],
  ['version', 'describe_engine'],
  ['events', 'follow_events'],
]);

/** Tell of every call that goes through this client, when the head of its answer is there or it has failed. */
export function tellCalls(docker: Dockerode, tell: (call: EngineCall) => void): void {
  const modem = docker.modem as Modem;
  const dial = modem.dial.bind(modem);
  modem.dial = (options, answered) => {
    const verb = verbOf(options.method, options.path);
    const beganAt = performance.now();
    let isTold = false;
    return dial(options, (error, data) => {
      if (!isTold) tell({ verb, seconds: (performance.now() - beganAt) / 1000, outcome: outcomeOf(error) });
      isTold = true;
      answered(error, data);
    });
  };
}

/** A path holds ids and names; what becomes of it is one of a few dozen words. */
export function verbOf(method: string, path: string): string {
  const [kind = '', ...rest] = (path.split('?', 1)[0] ?? '')
    .split('/')
    .slice(1)
    .filter((part) => part !== '');
  const thing = THINGS.get(kind);
  if (thing === undefined) return ALONE.get(kind) ?? 'other';
  const last = rest.at(-1) ?? '';
  if (last === 'exec') return 'create_process';
  if (VERBS.has(last)) return `${last}_${thing}`;
  if (method === 'DELETE') return `remove_${thing}`;
  if (method !== 'GET') return 'other';
  const isOne = last === 'json' ? rest.length > 1 : rest.length > 0;
  return isOne ? `inspect_${thing}` : `list_${thing}s`;
}

function outcomeOf(error: unknown): EngineCall['outcome'] {
  if (error === null || error === undefined) return 'ok';
  return typeof (error as { statusCode?: unknown }).statusCode === 'number' ? 'refused' : 'failed';
}
