import { type Notification, type Request, type Response, stringIn } from '../jsonrpc/envelope.js';
import { errorText, RPC } from '../jsonrpc/json-rpc.js';
import { paramOf } from '../jsonrpc/param.js';
import { LOG_LEVELS } from '../modern/log-levels.js';
import type { AskServer } from './ask-server.js';
import type { VirtualChannel } from './virtual-channel.js';

/**
 * What sessions get that have set no level, once the server has been told one: without it another session's `error` would
 * silence them, and a level cannot be unset.
 */
const DEFAULT_LEVEL = LOG_LEVELS.indexOf('info');

/** Each session's log level. The server is told the most verbose of them, and what is too much for a session is kept from it. */
export class LogLevels {
  private readonly levels = new Map<VirtualChannel, number>();
  /** What the server was told; undefined before that. */
  private told: number | undefined;

  /** @param sessions those that are open */
  constructor(
    private readonly sessions: ReadonlySet<VirtualChannel>,
    private readonly ask: AskServer,
  ) {}

  /** `logging/setLevel` of a session. */
  set(session: VirtualChannel, request: Request): Promise<void> | undefined {
    const { rawId } = request;
    const level = LOG_LEVELS.indexOf(stringIn(paramOf(request, 'level')) ?? '');
    if (level < 0) {
      const message = `Invalid params: level must be one of ${LOG_LEVELS.join(', ')}`;
      session.reply(errorText(rawId, { code: RPC.invalidParams, message }));
      return undefined;
    }
    const before = this.levels.get(session);
    this.levels.set(session, level);
    if (this.needed === this.told) {
      session.reply(`{"jsonrpc":"2.0","id":${rawId},"result":{}}`);
      return undefined;
    }
    return this.tell((answer) => {
      if (!answer?.result && this.levels.get(session) === level) this.restore(session, before);
      session.reply(this.ask.answerTo(rawId, answer));
    });
  }

  /** Sessions have come or gone. */
  refresh(): void {
    if (this.told !== undefined && this.needed !== this.told) void this.tell(() => undefined);
  }

  leave(session: VirtualChannel): void {
    this.levels.delete(session);
    this.refresh();
  }

  /** Whether a log message is of a level that the session wants. */
  wants(session: VirtualChannel, message: Notification): boolean {
    const chosen = this.levels.get(session);
    if (chosen === undefined) return true;
    const level = LOG_LEVELS.indexOf(stringIn(paramOf(message, 'level')) ?? '');
    return level < 0 || level >= chosen;
  }

  private get needed(): number {
    const set = [...this.levels.values()];
    if (set.length < this.sessions.size || set.length === 0) set.push(DEFAULT_LEVEL);
    return Math.min(...set);
  }

  private tell(settle: (answer: Response | undefined) => void): Promise<void> | undefined {
    const level = this.needed;
    this.told = level;
    return this.ask.ask('logging/setLevel', { level: LOG_LEVELS[level] }, (answer) => {
      // What it is set to now is unknown, so the next time it is told in any case.
      if (!answer?.result && this.told === level) this.told = undefined;
      settle(answer);
    });
  }

  private restore(session: VirtualChannel, level: number | undefined): void {
    if (level === undefined) this.levels.delete(session);
    else this.levels.set(session, level);
  }
}
