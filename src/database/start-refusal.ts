/** Why the service does not start, in one line that says what is wrong, where, and what to do. */
export class StartRefusal extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartRefusal';
  }
}

/** What an error says, for the middle of such a line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
