export interface StoredEvent {
  stream: number;
  seq: number;
  data: string;
}

/** What an event id `<stream>-<seq>` says. */
export interface EventId {
  stream: number;
  seq: number;
}

export function parseEventId(text: string): EventId | undefined {
  const match = /^(\d{1,9})-(\d{1,9})$/.exec(text);
  return match ? { stream: Number(match[1]), seq: Number(match[2]) } : undefined;
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
