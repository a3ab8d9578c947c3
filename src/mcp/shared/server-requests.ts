import { rawSlot, type Request } from '../jsonrpc/envelope.js';
import type { VirtualChannel } from './virtual-channel.js';

/** More than any server asks at once; each holds memory of ours. */
const MAX_WAITING = 1000;

interface Asked {
  session: VirtualChannel;
  /** The server's id and progress token as JSON text. */
  rawId: string;
  rawToken: string | undefined;
}

/** The server's requests that no client has answered yet. */
export class ServerRequests {
  private readonly asked = new Map<number, Asked>();
  private nextId = 1;

  get isFull(): boolean {
    return this.asked.size >= MAX_WAITING;
  }

  /** The id under which the session gets it. */
  add(session: VirtualChannel, request: Request): number {
    const id = this.nextId++;
    const rawToken = rawSlot(request, 'requestToken');
    this.asked.set(id, { session, rawId: request.rawId, rawToken });
    return id;
  }

  /** The server's id of what this session answers; undefined where it was not asked, or has answered. */
  takeAnswered(session: VirtualChannel, rawId: string): string | undefined {
    const id = Number(rawId);
    const asked = this.asked.get(id);
    if (asked?.session !== session) return undefined;
    this.asked.delete(id);
    return asked.rawId;
  }

  /** Who was asked what the server takes back, and under which id. */
  takeCancelled(rawId: string): { session: VirtualChannel; id: number } | undefined {
    for (const [id, asked] of this.asked) {
      if (asked.rawId !== rawId) continue;
      this.asked.delete(id);
      return { session: asked.session, id };
    }
    return undefined;
  }

  /** Whether the server wants to hear of progress from this session under this token. */
  hasToken(session: VirtualChannel, rawToken: string): boolean {
    return [...this.asked.values()].some((asked) => asked.session === session && asked.rawToken === rawToken);
  }

  /** The server's ids of all that a session leaves unanswered. */
  takeAll(session: VirtualChannel): string[] {
    const rawIds: string[] = [];
    for (const [id, asked] of this.asked) {
      if (asked.session !== session) continue;
      this.asked.delete(id);
      rawIds.push(asked.rawId);
    }
    return rawIds;
  }

  /** The process is gone. */
  clear(): void {
    this.asked.clear();
  }
}
