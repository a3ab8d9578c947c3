import type { ProcessHandlers, SandboxProcess } from '../containers/sandbox-runtime.js';
import type { ProcessLog } from '../logs/process-log.js';

/** A server process as it is, whose stderr and end are kept in the log of its deployment. */
export class LoggedProcess implements SandboxProcess {
  private isEnded = false;

  /** @param speaksElsewhere its stdout is a log as well */
  constructor(
    private readonly inner: SandboxProcess,
    private readonly log: ProcessLog,
    private readonly speaksElsewhere: boolean,
  ) {
    log.started();
  }

  attach(handlers: ProcessHandlers): void {
    const { log } = this;
    this.inner.attach({
      stdout: this.speaksElsewhere
        ? (chunk) => {
            log.stdout(chunk);
            handlers.stdout(chunk);
          }
        : (chunk) => handlers.stdout(chunk),
      stderr: (chunk) => {
        log.stderr(chunk);
        handlers.stderr(chunk);
      },
      drain: () => handlers.drain(),
      exit: (exit) => {
        log.exited(exit.code, this.isEnded);
        handlers.exit(exit);
      },
    });
  }

  write(data: string | Buffer): boolean {
    return this.inner.write(data);
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }

  end(graceMs?: number): Promise<void> {
    this.isEnded = true;
    return this.inner.end(graceMs);
  }
}
