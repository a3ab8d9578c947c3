import type { Message } from './client-events.js';
import type { PauseGate } from './pause-gate.js';

/** Open for as long as its client likes, and meant to outlive what answers it. */
const LISTEN = 'subscriptions/listen';

/** The messages in what a client sends; none where it is not JSON. */
export function messagesIn(text: string): Message[] {
  try {
    const parsed = JSON.parse(text) as Message | Message[];
    return Array.isArray(parsed) ? parsed : [parsed];
  } catch {
    return [];
  }
}

/** What passes between a client and a deployment on one connection, or in one POST and its answer. */
export class FrontTraffic {
  private readonly inFlight = new Map<string, () => void>();
  private line = '';
  private isOver = false;

  constructor(private readonly gate: PauseGate) {}

  /** Resolves when these messages of the client may go on to the deployment. */
  async admit(messages: Message[]): Promise<void> {
    for (const { id, method, params } of messages) {
      if (method === 'notifications/cancelled') this.finish(JSON.stringify(params?.['requestId']));
      if (method === undefined || id === undefined) continue;
      const state = params?.['requestState'];
      const rejoined = typeof state === 'string' ? this.gate.rejoin(state) : undefined;
      const release = rejoined ?? (await this.gate.enter());
      if (method === LISTEN || this.isOver) release();
      else this.inFlight.set(JSON.stringify(id), release);
    }
  }

  /** A piece of an event stream of the deployment. */
  hear(chunk: string): void {
    const lines = (this.line + chunk).split('\n');
    this.line = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data:')) this.hearMessages(line.slice('data:'.length));
    }
  }

  /** Whole messages of the deployment. */
  hearMessages(text: string): void {
    for (const { id, method, result } of messagesIn(text)) {
      if (method !== undefined || id === undefined) continue;
      const state = result?.['resultType'] === 'input_required' && result['requestState'];
      if (typeof state === 'string') this.gate.park(state);
      this.finish(JSON.stringify(id));
    }
  }

  /** These messages of the client were not taken. */
  dismiss(messages: Message[]): void {
    for (const { id } of messages) this.finish(JSON.stringify(id));
  }

  /** Nothing more will come. */
  end(): void {
    this.isOver = true;
    for (const id of this.inFlight.keys()) this.finish(id);
  }

  private finish(id: string): void {
    this.inFlight.get(id)?.();
    this.inFlight.delete(id);
  }
}
