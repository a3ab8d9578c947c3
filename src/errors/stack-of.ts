/**
 * Where an error came from, for the log: stacks along the chain of causes. Not its other properties, as `inspect` would
 * show them: libraries hang whole requests on their errors, and with them what must not be logged.
 */
export function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : `thrown: ${typeof error}`;
  const stack = error.stack ?? error.message;
  return error.cause === undefined ? stack : `${stack}\ncaused by: ${stackOf(error.cause)}`;
}
