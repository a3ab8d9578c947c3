/** Bounds what all logs together hold in memory, for a disk that is slow. */
export class QueueRoom {
  private used = 0;

  constructor(private readonly bytes: number) {}

  take(bytes: number): boolean {
    if (this.used + bytes > this.bytes) return false;
    this.used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.used -= bytes;
  }
}
