import type { Outlet } from '../../src/mcp/sessions/outlet.js';

/** An outlet that keeps what it is given. Like the answer to a POST it closes with its last message. */
export class RecordingOutlet implements Outlet {
  readonly texts: string[] = [];
  readonly lasts: string[] = [];

  constructor(public open = true) {}

  get messages(): Record<string, unknown>[] {
    return [...this.texts, ...this.lasts].map((text) => JSON.parse(text) as Record<string, unknown>);
  }

  deliver(text: string, last: boolean): undefined {
    (last ? this.lasts : this.texts).push(text);
    if (last) this.open = false;
  }
}
