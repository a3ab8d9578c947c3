import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { type Message, readEvents } from '../support/client-events.js';
import { type Answer, answerText, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { Service } from '../support/service.js';

const SESSIONS = 8;
const ROUNDS = 15;
const REPORTS = 5;
/** Larger than one read of a pipe and one frame of the engine's stream. */
const LONG = 33_000;

/** What one session said and heard. */
interface Peer {
  label: string;
  client: RawClient;
  /** What came on the GET stream. */
  ambient: Message[];
  /** The questions that the server asked through it. */
  questions: string[];
}

describe('eight sessions at once that all use the same ids and progress tokens', () => {
  let service: Service;
  let peers: Peer[];
  const leaving = new AbortController();

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    const deployment = await service.deploy({ image });
    peers = await Promise.all(
      Array.from({ length: SESSIONS }, async (_, index) => {
        const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
        await client.open({ elicitation: {}, sampling: {} });
        const peer: Peer = { label: `peer-${index}`, client, ambient: [], questions: [] };
        void collect(await client.listen(undefined, leaving.signal), peer.ambient);
        return peer;
      }),
    );
  });

  afterAll(async () => {
    leaving.abort();
    await service.stop();
  });

  it('nothing crosses, nothing is lost, nothing comes twice', async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      await Promise.all(peers.map((peer) => playRound(peer, round)));
    }
    for (const { label, ambient, questions } of peers) {
      expect(questions).toEqual(Array.from({ length: ROUNDS }, (_, i) => `question ${label}/${i + 1}`));
      expect(ambient).toEqual([]);
    }
  });

  it('calls of one session that are in flight under one and the same id each get their own answer', async () => {
    const texts = Array.from({ length: 16 }, (_, index) => `text ${index}`);
    for (const { client } of peers.slice(0, 2)) {
      const answers = await Promise.all(texts.map((text) => client.call(1, 'echo', { text })));
      expect(answers.map(answerText)).toEqual(texts);
      expect(answers.map((answer) => answer.messages[0]?.id)).toEqual(texts.map(() => 1));
    }
  });

  it('a change of the list of tools reaches the session it happened in and no other', async () => {
    const [one] = peers;
    if (!one) throw new Error('There are no sessions');
    await one.client.call(1, 'add_tool', { name: 'extra' });
    await expect.poll(() => one.ambient.length).toBe(1);
    const lists = await Promise.all(
      peers.map(({ client }) => client.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' })),
    );
    expect(lists.map(({ messages }) => JSON.stringify(messages).includes('"extra"'))).toEqual(
      peers.map((peer) => peer === one),
    );
    expect(peers.map(({ ambient }) => ambient.map(({ method }) => method))).toEqual(
      peers.map((peer) => (peer === one ? ['notifications/tools/list_changed'] : [])),
    );
  });
});

/** Every kind of traffic at once. All ids and tokens are those of every other session. */
async function playRound(peer: Peer, round: number): Promise<void> {
  const { client } = peer;
  const label = `${peer.label}/${round}`;
  const respond = (request: Message): Record<string, unknown> => {
    peer.questions.push(String(request.params?.['message']));
    return { action: 'accept', content: { answer: `answer of ${label}` } };
  };
  const longLabel = label.padEnd(LONG, '.');
  // A log message names no request, so it has to come while its own call is the only one in flight.
  const log = await client.call(1, 'log', { n: REPORTS, label });
  const counter = await client.call(1, 'session_counter');
  // A question names no request either, so it may come on the stream of any of them.
  const asked = { respond };
  const [progress, ask, echo, long] = await Promise.all([
    client.call(1, 'progress', { n: REPORTS, label }, { ...asked, progressToken: 1 }),
    client.call(2, 'ask', { label }, asked),
    client.call('1', 'echo', { text: label }, asked),
    client.call('two', 'progress', { n: REPORTS, label: longLabel }, { ...asked, progressToken: '1' }),
  ]);

  expect(params(log, 'notifications/message').map(({ data }) => data)).toEqual(
    numbers.map((number) => ({ label, number })),
  );
  expect(JSON.parse(answerText(counter))).toBe(round);
  expect(params(progress, 'notifications/progress')).toEqual(reports(label, 1));
  expect(params(long, 'notifications/progress')).toEqual(reports(longLabel, '1'));
  expect(JSON.parse(answerText(ask))).toMatchObject({ content: { answer: `answer of ${label}` } });
  expect(answerText(echo)).toBe(label);
  expect(answerText(progress)).toBe(`${label} done`);
  expect(answerText(long)).toBe(`${longLabel} done`);
  const answers = [log, counter, progress, ask, echo, long];
  expect(answers.map(({ messages }) => messages.at(-1)?.id)).toEqual([1, 1, 1, 2, '1', 'two']);
  // The notifications, one question, and one answer to each call: nothing else came.
  const count = answers.flatMap(({ messages }) => messages).length;
  expect(count).toBe(3 * REPORTS + 1 + answers.length);
}

const numbers = Array.from({ length: REPORTS }, (_, i) => i + 1);

function reports(label: string, progressToken: string | number): Record<string, unknown>[] {
  return numbers.map((progress) => ({
    progressToken,
    progress,
    total: REPORTS,
    message: `${label} ${progress}`,
  }));
}

function params({ messages }: Answer, method: string): Record<string, unknown>[] {
  return messages.filter((message) => message.method === method).map((message) => message.params ?? {});
}

async function collect(stream: Response, into: Message[]): Promise<void> {
  try {
    for await (const { data } of readEvents(stream)) if (data !== '') into.push(JSON.parse(data) as Message);
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
  }
}
