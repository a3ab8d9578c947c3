/** How a server process ended. */
export interface ServerExit {
  /** Exit code, 128 + n for signal n; undefined where nobody could tell. */
  code: number | undefined;
}

/** What the stdio channel needs of a process; a sandbox's process fits. Chunks may end inside a character. */
export interface ServerProcess {
  attach(handlers: {
    stdout(chunk: Buffer): void;
    stderr(chunk: Buffer): void;
    drain(): void;
    /** The last call: everything the process wrote has come before it. */
    exit(exit: ServerExit): void;
  }): void;
  /** False: hold further writes until `drain`. */
  write(data: string): boolean;
  pause(): void;
  resume(): void;
  /** Idempotent; never rejects. */
  end(graceMs?: number): Promise<void>;
}
