import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, answerText, RawClient } from '../support/client-raw.js';
import type { Message } from '../support/client-events.js';
import { tokenOf } from '../support/client.js';
import { fixtureImage } from '../support/fixture-image.js';
import { headersOf, modern, type ModernOptions } from '../support/modern-request.js';
import { roundsOf } from '../support/pauses.js';
import { type Deployment, Service } from '../support/service.js';

const ROUNDS = roundsOf(1000);
/** Of slow machines. */
const ROUNDS_MS = 300_000;
const ID = 1;
const TOKEN = 'token';

/** What two log messages, or two reports of progress, say of whose they are. */
function labelsIn({ messages }: Answer): unknown[] {
  return messages.slice(0, -1).map(({ params }) => {
    const { data, progressToken, message } = params as {
      data?: object;
      progressToken?: string;
      message?: string;
    };
    return data ?? [progressToken, message];
  });
}

function expectOwn(label: string, logged: Answer, reported: Answer): void {
  expect(labelsIn(logged)).toEqual([1, 2].map((number) => ({ label, number })));
  expect(labelsIn(reported)).toEqual([1, 2].map((n) => [TOKEN, `${label} ${n}`]));
  expect([answerText(logged), answerText(reported)]).toEqual([`${label} logged`, `${label} done`]);
  for (const { messages } of [logged, reported]) expect(messages.at(-1)?.id).toBe(ID);
}

async function inTwo(play: (label: string) => Promise<void>): Promise<void> {
  await Promise.all(['a', 'b'].map((name) => play(name)));
}

/** A call of the modern era, as its client's first and only one. */
function callModern(deployment: Deployment, params: object, options: ModernOptions): Promise<Answer> {
  const message = modern(ID, 'tools/call', params, options);
  const headers = headersOf(message) as Record<string, string>;
  return new RawClient(deployment.urls.mcp, tokenOf(deployment)).post(message, { headers });
}

/** Every request has the same id and the same token; whatever went astray would be in somebody's answer. */
describe('two clients over Streamable HTTP hear only their own', () => {
  let service: Service;
  let deployment: Deployment;

  beforeAll(async () => {
    service = await Service.start();
    deployment = await service.deploy({ image: await fixtureImage(), maxSessions: 6 });
  });

  afterAll(() => service.stop());

  it(`in sessions of their own, ${ROUNDS} rounds`, { timeout: ROUNDS_MS }, async () => {
    await inTwo(async (name) => {
      const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
      await client.open({ elicitation: {} });
      for (let round = 0; round < ROUNDS; round++) {
        const label = `${name}/${round}`;
        const logged = await client.call(ID, 'log', { n: 2, label });
        const reported = await client.call(ID, 'progress', { n: 2, label }, { progressToken: TOKEN });
        expectOwn(label, logged, reported);
        const respond = (): object => ({ action: 'accept', content: { answer: label } });
        const asked = await client.call(
          ID,
          'ask',
          { label },
          { respond: respond as () => Record<string, unknown> },
        );
        expect(asked.messages.map(({ params }) => params?.['message'])).toEqual([
          `question ${label}`,
          undefined,
        ]);
        expect(JSON.parse(answerText(asked))).toMatchObject({ content: { answer: label } });
      }
      await client.end();
    });
  });

  it(`as one principal of the modern era, ${ROUNDS} rounds`, { timeout: ROUNDS_MS }, async () => {
    await inTwo(async (name) => {
      for (let round = 0; round < ROUNDS; round++) {
        const label = `${name}/${round}`;
        const logged = await callModern(
          deployment,
          { name: 'log', arguments: { n: 2, label } },
          { logLevel: 'debug' },
        );
        const reported = await callModern(
          deployment,
          { name: 'progress', arguments: { n: 2, label } },
          { token: TOKEN },
        );
        expectOwn(label, logged, reported);
        const asked = await callModern(
          deployment,
          { name: 'ask', arguments: { label } },
          { capabilities: { elicitation: {} } },
        );
        const { inputRequests, requestState } = (asked.messages[0] as Message).result as {
          inputRequests: Record<string, { params: { message: string } }>;
          requestState: string;
        };
        const [key = '', ...others] = Object.keys(inputRequests);
        expect([inputRequests[key]?.params.message, others]).toEqual([`question ${label}`, []]);
        const inputResponses = { [key]: { action: 'accept', content: { answer: label } } };
        const answered = await callModern(
          deployment,
          { name: 'ask', arguments: { label }, requestState, inputResponses },
          { capabilities: { elicitation: {} } },
        );
        expect(JSON.parse(answerText(answered))).toMatchObject({ content: { answer: label } });
      }
    });
  });
});
