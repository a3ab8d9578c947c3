/** The code that Node, SQLite or we gave an error, of it or of its nearest cause: `ECONNREFUSED`, `SQLITE_BUSY`. */
export function causeCodeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string') return code;
  }
  return undefined;
}

const PLACES = 2;

/**
 * What errors have in common that are the same fault again: their class and where in our code they came from, not their
 * words. Where none of ours is to be seen, any.
 */
export function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const ours = frames.filter((line) => !/node_modules|node:/.test(line));
  const places = (ours.length > 0 ? ours : frames).slice(0, PLACES);
  return [error.name, causeCodeOf(error) ?? '', ...places].join('\n');
}
