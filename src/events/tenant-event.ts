/** What a tenant is told about. */
export const EVENT_TYPES = ['status', 'crash'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

interface EventData extends Record<EventType, object> {
  /** A deployment changed its status; `code` and `message` are its `statusReason`. */
  status: { from: string; to: string; code: string; message: string };
  /** A server process ended by itself: for the how many-th time in a row, and when the next one is started. */
  crash: { code: string; message: string; failures: number; retryInSeconds: number };
}

interface EventOf<T extends EventType> {
  type: T;
  deploymentId: string;
  /** Milliseconds since 1970. */
  at: number;
  data: EventData[T];
}

/** Something that happened to a deployment of a tenant. */
export type TenantEvent = { [T in EventType]: EventOf<T> }[EventType];
