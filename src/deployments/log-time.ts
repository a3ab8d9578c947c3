const LONGEST_AGE_SECONDS = 31_536_000;
const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;

export const SINCE_RULE = `must be an ISO 8601 time with its zone, such as 2026-01-31T12:00:00Z, or a whole number of seconds before now, at most ${LONGEST_AGE_SECONDS}`;

/** Milliseconds since 1970; undefined: it is no such time. */
export function timeOf(since: unknown, now: number): number | undefined {
  if (typeof since !== 'string') return undefined;
  if (/^\d{1,9}$/.test(since)) {
    return Number(since) <= LONGEST_AGE_SECONDS ? now - Number(since) * 1000 : undefined;
  }
  // A plus sign that was not encoded is a space in a query.
  const iso = since.replace(/ (?=\d\d:\d\d$)/, '+');
  const time = ISO.test(iso) ? Date.parse(iso) : NaN;
  return Number.isNaN(time) ? undefined : time;
}
