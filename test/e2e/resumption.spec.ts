import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { allEvents, type Message, nextMessage, readEvents, type SseEvent } from '../support/client-events.js';
import { RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

const REPORTS = 6;

function messageOf({ data }: SseEvent): Message {
  return JSON.parse(data) as Message;
}

describe('a client that lost its connection', () => {
  let service: Service;
  let deployment: Deployment;
  let client: RawClient;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    deployment = await service.deploy({ image });
  });

  afterAll(() => service.stop());

  beforeEach(async () => {
    client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await client.open({ elicitation: {} });
    return async () => {
      await client.end();
    };
  });

  async function eventsAfter(lastEventId: string): Promise<SseEvent[]> {
    const stream = await client.listen(lastEventId);
    expect(stream.status).toBe(200);
    return allEvents(stream);
  }

  it('a stream begins with an event to resume from, and no event id comes twice in a session', async () => {
    const one = await client.call(1, 'progress', { n: REPORTS, label: 'one' }, { progressToken: 1 });
    const two = await client.call(1, 'progress', { n: REPORTS, label: 'two' }, { progressToken: 1 });
    expect([one.events[0]?.data, two.events[0]?.data]).toEqual(['', '']);
    const ids = [...one.events, ...two.events].map(({ id }) => id);
    expect(ids).not.toContain(undefined);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each([0, 1, 3, REPORTS])(
    'gets exactly what came after event %i of a stream, and nothing of another',
    async (seen) => {
      const [{ events }] = await Promise.all([
        client.call(1, 'progress', { n: REPORTS, label: 'mine' }, { progressToken: 1 }),
        client.call(2, 'progress', { n: REPORTS, label: 'other' }, { progressToken: 2 }),
      ]);
      expect(await eventsAfter(events[seen]?.id ?? '')).toEqual(events.slice(seen + 1));
    },
  );

  it('gets the answer of a call that was still running, on the resumed stream', async () => {
    const leaving = new AbortController();
    let question: Message | undefined;
    let seen: string | undefined;
    const response = await fetch(client.url, {
      method: 'POST',
      headers: {
        ...tokenOf(deployment),
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': client.sessionId ?? '',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 'long',
        method: 'tools/call',
        params: { name: 'ask', arguments: { label: 'late' } },
      }),
      signal: leaving.signal,
    });
    for await (const event of readEvents(response)) {
      seen = event.id;
      if (event.data !== '') question = messageOf(event);
      if (question) break;
    }
    leaving.abort();
    expect(question?.method).toBe('elicitation/create');

    const resumed = await client.listen(seen);
    await client.post({ jsonrpc: '2.0', id: question?.id, result: { action: 'decline' } });
    const events = await allEvents(resumed);
    const messages = events.filter(({ data }) => data !== '').map(messageOf);
    expect(messages).toMatchObject([{ id: 'long', result: { content: [{ text: '{"action":"decline"}' }] } }]);
  });

  it('gets on its GET stream what was said while it was away', async () => {
    const away = new AbortController();
    const events = readEvents(await client.listen(undefined, away.signal));
    await client.call(1, 'add_tool', { name: 'seen' });
    const seen = await nextMessage(events);
    expect(seen.message.method).toBe('notifications/tools/list_changed');
    away.abort();

    await client.call(2, 'add_tool', { name: 'missed', afterMs: 1 });
    // Away for a moment, which is what this is about: no request and no stream is open when the server speaks.
    await delay(300);
    const back = new AbortController();
    const later = readEvents(await client.listen(seen.id, back.signal));
    const missed = await nextMessage(later);
    expect(missed.message.method).toBe('notifications/tools/list_changed');
    expect(missed.id).not.toBe(seen.id);
    back.abort();
  });

  it('is refused an event id that no stream of its session has given out', async () => {
    const other = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await other.open();
    const { events } = await other.call(1, 'progress', { n: 1, label: 'theirs' }, { progressToken: 1 });
    for (const id of ['no-such-event', events[0]?.id ?? '']) {
      const refused = await client.listen(id);
      expect({ id, status: refused.status }).toEqual({ id, status: 400 });
      await refused.arrayBuffer();
    }
    await other.end();
  });
});
