/**
 * Bounds how much runs at once. A slot is for work, not for waiting: whoever holds one for `holdMs` goes on without it,
 * so that slow registries and silent servers do not keep others from starting.
 */
export class Slots {
  private readonly queue: (() => void)[] = [];
  private free: number;

  constructor(
    count: number,
    private readonly holdMs: number,
  ) {
    this.free = count;
  }

  /** Run `task` when a slot is free. Rejects with the signal's reason when it is aborted before. */
  async run<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.acquire(signal);
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      const next = this.queue.shift();
      if (next === undefined) this.free += 1;
      else next();
    };
    const timer = setTimeout(release, this.holdMs);
    try {
      return await task();
    } finally {
      clearTimeout(timer);
      release();
    }
  }

  private acquire(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.free > 0) {
      this.free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.queue.splice(this.queue.indexOf(enter), 1);
        reject(signal.reason as Error);
      };
      this.queue.push(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
