/** What another server process must be told to go on with a conversation. */
export interface ConversationState {
  /** The params of the client's `initialize`, as JSON text. */
  readonly initialize: string;
  /** As it was negotiated. */
  readonly protocolVersion: string;
  /** The params of the client's last `logging/setLevel`, as JSON text. */
  readonly logLevel: string | undefined;
  /** URIs of the resources that the client is subscribed to. */
  readonly subscriptions: readonly string[];
}
