interface Waiting {
  enter: () => void;
  refuse: (error: Error) => void;
}

/** Bounds how many calls are under way at once, and how many wait for that, in order of arrival. */
export class CallLane {
  private readonly waiting: Waiting[] = [];
  private free: number;

  constructor(
    size: number,
    private readonly longestQueue: number,
    private readonly tooMany: () => Error,
  ) {
    this.free = size;
  }

  /** Resolves with what is to be called at the end, once. Rejects with the signal's reason when it is aborted before. */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.free > 0) this.free -= 1;
    else await this.wait(signal);
    return () => this.leave();
  }

  /** Nobody who waits now gets in. */
  refuseAll(error: Error): void {
    for (const { refuse } of this.waiting.splice(0)) refuse(error);
  }

  private leave(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.free += 1;
    else next.enter();
  }

  private async wait(signal: AbortSignal): Promise<void> {
    if (this.waiting.length >= this.longestQueue) throw this.tooMany();
    let abort: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const item = { enter: resolve, refuse: reject };
        this.waiting.push(item);
        abort = () => {
          const at = this.waiting.indexOf(item);
          if (at >= 0) this.waiting.splice(at, 1);
          reject(signal.reason as Error);
        };
        signal.addEventListener('abort', abort, { once: true });
      });
    } finally {
      if (abort !== undefined) signal.removeEventListener('abort', abort);
    }
  }
}
