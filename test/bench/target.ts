/** Something that answers the tool call `echo`, whatever stands between it and us. */
export interface Target {
  name: string;
  /** Open a session and shake hands. */
  open(): Promise<Conversation>;
  /** Resolves when opening the next session would be as fast as it gets. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

export interface Conversation {
  /** Call `echo` and return the text of the answer. */
  echo(message: string): Promise<string>;
  close(): Promise<void>;
}

export const INITIALIZE = {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'mcp-runner-bench', version: '1' },
};

/** What an answer to `echo` must look like. */
export function echoedText(message: unknown): string {
  const { result } = message as { result?: { content?: { text?: string }[] } };
  const text = result?.content?.[0]?.text;
  if (text === undefined)
    throw new Error(`This is no answer to echo: ${JSON.stringify(message).slice(0, 300)}`);
  return text;
}
