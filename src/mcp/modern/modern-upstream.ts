import type { Channel } from '../channels/channel.js';

/** Calls that a translated server keeps open while their client answers its questions. */
export interface ParkedCalls {
  readonly parkedCalls: number;
  /** Whether this request state belongs to one of them. */
  holds(requestState: string): boolean;
}

/** A conversation with a server in the modern era. */
export interface ModernChannel {
  channel: Channel;
  /** Undefined where the server itself speaks this era. */
  parked: ParkedCalls | undefined;
}

/** What the modern era needs of a deployment. Everything throws `AppError`. */
export interface ModernUpstream {
  /** Whether its server speaks the modern era, so that nothing has to be translated. */
  isNative(signal: AbortSignal): Promise<boolean>;
  /**
   * A process of its own; translated where it is not native. May wait for the deployment to start. `sessionId`: of the
   * place that it takes among the sessions.
   */
  open(native: boolean, signal: AbortSignal, sessionId: string): Promise<ModernChannel>;
}
