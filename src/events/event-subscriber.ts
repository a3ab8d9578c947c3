import type { ServerResponse } from 'node:http';
import type { ResetEventDto } from './event.dto.js';
import { type EventRing, eventText } from './event-ring.js';
import { SseResponse } from './sse-response.js';

export interface Subscription {
  /** The `id` of the last event that the client has. */
  lastEventId?: string | undefined;
  /** Only events of this deployment. */
  deploymentId?: string | undefined;
}

/**
 * One open stream. It holds a position in the ring and no events: it writes while the connection takes it, and one that
 * the ring overtakes is told so. Lines with an id alone give the client its position also where it has no event to see.
 */
export class EventSubscriber {
  private position: number;
  private readonly response: SseResponse;

  constructor(
    private readonly ring: EventRing,
    res: ServerResponse,
    private readonly subscription: Subscription,
  ) {
    const { lastEventId } = subscription;
    this.position = lastEventId === undefined ? ring.newest : ring.positionOf(lastEventId);
    this.response = new SseResponse(res);
    this.response.onClose(ring.watch(() => this.catchUp()));
    this.response.onRoom(() => this.catchUp());
    this.response.begin(ring.reaches(this.position) ? this.idLine : '');
    this.catchUp();
  }

  keepAlive(): void {
    this.response.keepAlive(this.idLine);
  }

  end(): void {
    this.response.end();
  }

  private catchUp(): void {
    while (this.response.takesMore && this.position !== this.ring.newest) {
      if (this.ring.reaches(this.position)) this.step();
      else this.jump();
    }
  }

  private step(): void {
    const event = this.ring.after(this.position);
    this.position += 1;
    if (event !== undefined && this.wants(event.deploymentId)) this.response.write(event.text);
  }

  private wants(deploymentId: string): boolean {
    const { deploymentId: only } = this.subscription;
    return only === undefined || only === deploymentId;
  }

  private jump(): void {
    this.position = this.ring.newest;
    const data: ResetEventDto = {
      type: 'reset',
      at: new Date().toISOString(),
      message: 'Events were missed. List the deployments again.',
    };
    this.response.write(eventText(data.type, this.ring.idOf(this.position), data));
  }

  private get idLine(): string {
    return `id: ${this.ring.idOf(this.position)}\n`;
  }
}
