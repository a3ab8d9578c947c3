/** Why a backup cannot be made or put back, in one line, and what to do about it. */
export class BackupError extends Error {
  constructor(
    message: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'BackupError';
  }
}
