export interface StoredEvent {
  stream: number;
  seq: number;
  data: string;
}

/** What an event id says: `<stream>-<seq>`, and the id of the request that the stream answers, where it is short. */
export interface EventId {
  stream: number;
  seq: number;
  /** As JSON text. */
  requestId?: string;
}

const EVENT_ID = /^(\d{1,15})-(\d{1,9})(?:-([\w-]{1,100}))?$/;
/** Encoded it has a third more, which is to fit above. */
const MAX_REQUEST_ID_BYTES = 64;

export function parseEventId(text: string): EventId | undefined {
  const [, stream, seq, request] = EVENT_ID.exec(text) ?? [];
  if (stream === undefined || seq === undefined) return undefined;
  const id = { stream: Number(stream), seq: Number(seq) };
  if (request === undefined) return id;
  const requestId = Buffer.from(request, 'base64url').toString();
  return isIdText(requestId) ? { ...id, requestId } : undefined;
}

/** The request's id goes along, so that whoever comes back for the answer of an earlier control plane can be told. */
export function eventIdText({ stream, seq, requestId }: EventId): string {
  const request = Buffer.from(requestId ?? '');
  const isKnown = request.length > 0 && request.length <= MAX_REQUEST_ID_BYTES;
  return `${stream}-${seq}${isKnown ? `-${request.toString('base64url')}` : ''}`;
}

/** It comes back from the client, and goes into JSON on one line. */
function isIdText(text: string): boolean {
  if (text !== text.trim()) return false;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' || typeof value === 'number';
  } catch {
    return false;
  }
}

/** The newest events of a session's streams, for clients that lost a connection. */
export class ReplayLog {
  /** Apart, so that nothing else the server says can drive out what a client waits for. */
  private readonly answers: NewestEvents;
  private readonly others: NewestEvents;

  /** @param maxChars of answers, and of all else together */
  constructor(maxChars: number) {
    this.answers = new NewestEvents(maxChars);
    this.others = new NewestEvents(maxChars);
  }

  add(event: StoredEvent, answer: boolean): void {
    (answer ? this.answers : this.others).add(event);
  }

  after(id: EventId): StoredEvent[] {
    const missed = (event: StoredEvent): boolean => event.stream === id.stream && event.seq > id.seq;
    return [...this.others.events.filter(missed), ...this.answers.events.filter(missed)].sort(
      (a, b) => a.seq - b.seq,
    );
  }

  drop(stream: number): void {
    this.answers.drop(stream);
    this.others.drop(stream);
  }
}

/** Events up to a limit; the oldest go first. One larger than the limit stays alone, for nobody may have received it. */
class NewestEvents {
  events: StoredEvent[] = [];
  private chars = 0;

  constructor(private readonly maxChars: number) {}

  add(event: StoredEvent): void {
    this.events.push(event);
    this.chars += event.data.length;
    while (this.chars > this.maxChars && this.events.length > 1) {
      this.chars -= this.events.shift()?.data.length ?? 0;
    }
  }

  drop(stream: number): void {
    this.events = this.events.filter((event) => event.stream !== stream);
    this.chars = this.events.reduce((sum, event) => sum + event.data.length, 0);
  }
}
