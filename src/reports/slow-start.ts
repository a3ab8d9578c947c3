/** How long a deployment's start took and how it ended: nothing in it was written by a tenant. */
export interface SlowStart {
  /** `stdio`, `streamable_http`, `sse`. */
  transport: string;
  /** `start`, `wake`, `restart`, `recovery`, `adoption`. */
  kind: string;
  /** `ready`, or the code of why it failed. */
  outcome: string;
  seconds: number;
  /** Of that until the sandbox ran, the image's pull included; undefined: it never ran, or ran already. */
  sandboxSeconds: number | undefined;
}

/** What Sentry shows as the title; also how the filter knows such an event. */
export const SLOW_START = 'A deployment started slowly';
const CODE = /^[a-z_]{1,40}$/;

/** As tags, to search by, and as numbers. */
export function slowStartEvent(start: SlowStart) {
  const { transport, kind, outcome, seconds, sandboxSeconds } = start;
  return {
    message: SLOW_START,
    level: 'warning' as const,
    fingerprint: ['slow-start', codeOf(transport), codeOf(outcome)],
    tags: { transport: codeOf(transport), kind: codeOf(kind), outcome: codeOf(outcome) },
    extra: {
      durationMs: Math.round(seconds * 1000),
      ...(sandboxSeconds !== undefined && {
        sandboxMs: Math.round(sandboxSeconds * 1000),
        serverMs: Math.round((seconds - sandboxSeconds) * 1000),
      }),
    },
  };
}

function codeOf(text: string): string {
  return CODE.test(text) ? text : 'other';
}
