import type { ErrorEvent, Exception } from '@sentry/node';
import { SLOW_START } from './slow-start.js';
import { frameOf } from './stack-frame.js';

/** Of one error; Node's own limit is 10 a stack. */
const MOST_FRAMES = 50;
/** Class names, as in `SqliteError`. */
const TYPE = /^[A-Za-z_$][\w$.]{0,79}$/;
/** Codes of Node, SQLite and ours, as in `ECONNREFUSED`, `SQLITE_BUSY`, `internal_error`. */
const CODE = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
/** As we make them. A client may have chosen the id, and then it says what the client wants it to say. */
const REQUEST_ID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
const NUMBERS = ['durationMs', 'sandboxMs', 'serverMs'] as const;

/**
 * Only what is listed here leaves the machine. Everything a tenant sent (image, args, env, headers, bodies) and every
 * message that could quote it stays, and so does what would describe the host; the request id, where it is one of ours,
 * leads to the whole story in the log.
 *
 * @param root the folder that the program was installed in; paths are told from there
 */
export function reportable(event: ErrorEvent, root: string): ErrorEvent {
  const common = {
    type: undefined,
    ...(event.event_id !== undefined && { event_id: event.event_id }),
    ...(event.timestamp !== undefined && { timestamp: event.timestamp }),
    ...(event.environment !== undefined && { environment: event.environment }),
    ...(event.release !== undefined && { release: event.release }),
    platform: 'node',
  };
  if (event.message === SLOW_START && event.exception === undefined)
    return { ...common, ...slowStartOf(event) };
  const values = (event.exception?.values ?? []).map((value) => exceptionOf(value, root));
  return {
    ...common,
    level: 'error',
    tags: {
      ...tagOf(event, 'requestId', REQUEST_ID),
      ...tagOf(event, 'code', CODE),
      ...tagOf(event, 'cause', CODE),
      ...tagOf(event, 'repeats', /^\d{1,9}$/),
    },
    // The last is the one that was reported. The others are its causes.
    exception: { values: values.slice(-1) },
  };
}

function slowStartOf(event: ErrorEvent): Partial<ErrorEvent> {
  const numbers = NUMBERS.flatMap((name) => {
    const value = event.extra?.[name];
    return typeof value === 'number' ? [[name, value]] : [];
  });
  return {
    message: SLOW_START,
    level: 'warning',
    ...(event.fingerprint !== undefined && { fingerprint: event.fingerprint }),
    tags: {
      ...tagOf(event, 'transport', CODE),
      ...tagOf(event, 'kind', CODE),
      ...tagOf(event, 'outcome', CODE),
      ...tagOf(event, 'repeats', /^\d{1,9}$/),
    },
    extra: Object.fromEntries(numbers) as Record<string, number>,
  };
}

function exceptionOf({ type, stacktrace }: Exception, root: string): Exception {
  const frames = (stacktrace?.frames ?? []).slice(-MOST_FRAMES).map((frame) => frameOf(frame, root));
  return { type: type !== undefined && TYPE.test(type) ? type : 'Error', stacktrace: { frames } };
}

function tagOf(event: ErrorEvent, name: string, allowed: RegExp): Record<string, string> {
  const value = event.tags?.[name];
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && allowed.test(text) ? { [name]: text } : {};
}
