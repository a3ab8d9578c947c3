/** How long a deployment's start took and how it ended: nothing in it was written by a tenant. */
export interface SlowStart {
  /** `stdio`, `streamable_http`, `sse`. */
  transport: string;
  /** Why it was started: a code of the registry. */
  why: string;
  /** `running`, or the code of why it failed. */
  outcome: string;
  durationMs: number;
  /** Of that until the sandbox ran, the image's pull included; undefined: it never ran. */
  sandboxMs: number | undefined;
}

/** What Sentry shows as the title; also how the filter knows such an event. */
export const SLOW_START = 'A deployment started slowly';
const CODE = /^[a-z_]{1,40}$/;

/** As tags, to search by, and as numbers. */
export function slowStartEvent(start: SlowStart) {
  const { transport, why, outcome, durationMs, sandboxMs } = start;
  return {
    message: SLOW_START,
    level: 'warning' as const,
    fingerprint: ['slow-start', codeOf(transport), codeOf(outcome)],
    tags: { transport: codeOf(transport), why: codeOf(why), outcome: codeOf(outcome) },
    extra: {
      durationMs: Math.round(durationMs),
      ...(sandboxMs !== undefined && {
        sandboxMs: Math.round(sandboxMs),
        serverMs: Math.round(durationMs - sandboxMs),
      }),
    },
  };
}

function codeOf(text: string): string {
  return CODE.test(text) ? text : 'other';
}
