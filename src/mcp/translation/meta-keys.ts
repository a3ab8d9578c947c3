/** What all keys of `_meta` that the protocol itself defines begin with. */
export const RESERVED = 'io.modelcontextprotocol/';

export const SERVER_INFO = `${RESERVED}serverInfo`;
export const SUBSCRIPTION_ID = `${RESERVED}subscriptionId`;

/** The extension that tasks became; it is not bridged. */
export const TASKS = `${RESERVED}tasks`;

export function isReserved(name: string): boolean {
  return name.startsWith(RESERVED);
}
