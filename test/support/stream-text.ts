/** What comes on an event stream that is open, as one text. */
export class StreamText {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly reading: Promise<void>;
  private readonly waiting = new Set<() => void>();
  private text = '';
  private isOver = false;

  constructor(response: Response) {
    if (!response.ok || !response.body) throw new Error(`No stream: HTTP ${response.status}`);
    this.reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    this.reading = this.read();
  }

  count(words: string): number {
    return this.text.split(words).length - 1;
  }

  /** Resolves when the words have come so many times; throws when the stream ends before. */
  async until(words: string, times = 1): Promise<void> {
    while (this.count(words) < times) {
      if (this.isOver) throw new Error(`The stream ended after: ${this.text}`);
      await new Promise<void>((resolve) => {
        this.waiting.add(resolve);
      });
    }
  }

  async end(): Promise<void> {
    await this.reader.cancel();
    await this.reading;
  }

  private async read(): Promise<void> {
    try {
      for (;;) {
        const { value, done } = await this.reader.read();
        if (done) return;
        this.text += Buffer.from(value).toString();
        this.wake();
      }
    } finally {
      this.isOver = true;
      this.wake();
    }
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}
