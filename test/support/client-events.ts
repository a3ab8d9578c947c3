/** A JSON-RPC message as it stands on the wire. */
export interface Message {
  jsonrpc: '2.0';
  id?: string | number | null;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: unknown };
}

/** One event of a text/event-stream; comments are left out. */
export interface SseEvent {
  id: string | undefined;
  data: string;
}

/** The events of a response as they come. Ends with the response; stopping early cancels it. */
export async function* readEvents(response: Response): AsyncGenerator<SseEvent> {
  if (!response.body) return;
  const decoder = new TextDecoder();
  let parts: string[] = [];
  for await (const chunk of response.body) {
    const text = decoder.decode(chunk as Uint8Array, { stream: true });
    // An event ends at an empty line, which may itself be cut in half.
    if (!text.includes('\n')) {
      parts.push(text);
      continue;
    }
    const blocks = (parts.join('') + text).split('\n\n');
    parts = [blocks.pop() ?? ''];
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event) yield event;
    }
  }
}

/** All events until the response ends. */
export async function allEvents(response: Response): Promise<SseEvent[]> {
  const events: SseEvent[] = [];
  for await (const event of readEvents(response)) events.push(event);
  return events;
}

/** The next event that carries a message, as that message with its event id. */
export async function nextMessage(
  events: AsyncGenerator<SseEvent>,
): Promise<{ id: string; message: Message }> {
  for (;;) {
    const { value, done } = await events.next();
    if (done) throw new Error('The stream ended');
    if (value.data !== '') return { id: value.id ?? '', message: JSON.parse(value.data) as Message };
  }
}

function parseEvent(block: string): SseEvent | undefined {
  const fields = block.split('\n').map((line) => /^([a-z]*): ?(.*)$/s.exec(line));
  const data = fields.filter((field) => field?.[1] === 'data').map((field) => field?.[2] ?? '');
  if (data.length === 0) return undefined;
  return { id: fields.findLast((field) => field?.[1] === 'id')?.[2], data: data.join('\n') };
}
