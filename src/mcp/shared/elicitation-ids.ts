import { type Request, rawMembers, type Response, stringIn } from '../jsonrpc/envelope.js';
import { paramOf } from '../jsonrpc/param.js';
import type { VirtualChannel } from './virtual-channel.js';

const MAX_IDS = 1000;
const MAX_ID_CHARS = 512;
/** More than any server says of the URLs that it wants opened. */
const MAX_DATA_CHARS = 1 << 16;
const MAX_URLS = 20;
/** `URLElicitationRequiredError` of revision 2025-11-25. */
const URLS_REQUIRED = '-32042';

/**
 * Whose user was sent to a URL: `notifications/elicitation/complete` names nothing but the elicitation. Of many that are
 * never completed the oldest are forgotten.
 */
export class ElicitationIds {
  private readonly sessions = new Map<string, VirtualChannel>();

  /** A request to open a URL. */
  rememberRequest(session: VirtualChannel, request: Request): void {
    this.remember(session, stringIn(paramOf(request, 'elicitationId')));
  }

  /** An answer that says which URLs have to be opened first. */
  rememberAnswer(session: VirtualChannel, answer: Response): void {
    if (!answer.error) return;
    const { code, data } = rawMembers(answer, answer.error, ['code', 'data']);
    if (code !== URLS_REQUIRED || data === undefined || data.length > MAX_DATA_CHARS) return;
    const { elicitations } = (JSON.parse(data) ?? {}) as { elicitations?: unknown };
    if (!Array.isArray(elicitations)) return;
    for (const one of elicitations.slice(0, MAX_URLS) as ({ elicitationId?: unknown } | null)[]) {
      const id = one?.elicitationId;
      this.remember(session, typeof id === 'string' ? id : undefined);
    }
  }

  /** Whose elicitation is complete; it is forgotten. */
  take(id: string | undefined): VirtualChannel | undefined {
    if (id === undefined) return undefined;
    const session = this.sessions.get(id);
    this.sessions.delete(id);
    return session;
  }

  leave(session: VirtualChannel): void {
    for (const [id, owner] of this.sessions) if (owner === session) this.sessions.delete(id);
  }

  private remember(session: VirtualChannel, id: string | undefined): void {
    if (id === undefined || id.length > MAX_ID_CHARS) return;
    this.sessions.delete(id);
    this.sessions.set(id, session);
    const [oldest] = this.sessions.keys();
    if (this.sessions.size > MAX_IDS && oldest !== undefined) this.sessions.delete(oldest);
  }
}
