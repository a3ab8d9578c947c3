import type { Channel, ChannelClosed } from '../../src/mcp/channels/channel.js';
import type { ConversationState } from '../../src/mcp/sessions/conversation-state.js';
import type { Outlet } from '../../src/mcp/sessions/outlet.js';
import type { SessionHolder } from '../../src/mcp/sessions/session.js';

/** Holds a session and keeps what it was told of it. Another process is to be had where `reopen` gives one. */
export class RecordingHolder implements SessionHolder {
  readonly states: ConversationState[] = [];
  readonly losses: ChannelClosed[] = [];
  readonly closings: ChannelClosed[] = [];
  /** Of each process that it was asked for. */
  readonly stops: AbortSignal[] = [];

  constructor(
    readonly ambient: Outlet,
    private readonly next: (signal: AbortSignal) => Promise<Channel> = () =>
      Promise.reject(new Error('no other process')),
  ) {}

  get reopened(): number {
    return this.stops.length;
  }

  reopen(signal: AbortSignal): Promise<Channel> {
    this.stops.push(signal);
    return this.next(signal);
  }

  handshakeMs(): number {
    return 10_000;
  }

  changed(state: ConversationState): void {
    this.states.push(state);
  }

  lost(why: ChannelClosed): void {
    this.losses.push(why);
  }

  closed(why: ChannelClosed): void {
    this.closings.push(why);
  }
}
