import { modern } from '../support/modern-request.js';
import { askInVain, callOf, endHttp, type Site, useConnection, useHttp } from './site.js';

/** Opens a session, uses it, and is done with it. */
export type Way = (site: Site) => Promise<void>;

/** Of sessions that end at once, with a server process of their own or a shared one. */
export const WAYS: Record<string, Way> = {
  'a session that is deleted': async (site) => {
    await endHttp(await site.http());
  },
  'a session that is deleted in the middle of a call': async (site) => {
    const client = await site.http();
    const unanswered = client.call(3, 'silence');
    await useHttp(client);
    await endHttp(client);
    const { messages } = await unanswered;
    if (!messages.at(-1)?.error) throw new Error(`The call was answered by ${JSON.stringify(messages)}`);
  },
  'a session whose stream was cut before it is deleted': async (site) => {
    const client = await site.http();
    const cut = new AbortController();
    await client.listen(undefined, cut.signal);
    cut.abort();
    await useHttp(client);
    await endHttp(client);
  },
  'a session that is deleted while its client listens': async (site) => {
    const client = await site.http();
    const stream = await client.listen();
    await endHttp(client);
    await stream.text();
  },
  'an SSE connection that is closed': async (site) => {
    (await site.sse()).leave();
  },
  'an SSE connection that is cut in the middle of a call': async (site) => {
    const client = await site.sse();
    await askInVain(client);
    client.leave();
  },
  'a WebSocket that is closed': async (site) => {
    const client = await site.webSocket();
    client.ws.close();
    await client.end();
  },
  'a WebSocket that is cut in the middle of a call': async (site) => {
    const client = await site.webSocket();
    await askInVain(client);
    client.ws.terminate();
  },
};

/** Of sessions whose server crashes in the middle of a call. */
export const CRASHES: Record<string, Way> = {
  'a session that goes on after a crash and is deleted': async (site) => {
    const client = await site.http();
    requireError((await client.call(3, 'exit')).messages.at(-1));
    await useHttp(client);
    await endHttp(client);
  },
  'a session that is deleted after a crash': async (site) => {
    const client = await site.http();
    requireError((await client.call(3, 'exit')).messages.at(-1));
    await endHttp(client);
  },
  'an SSE connection that goes on after a crash': async (site) => {
    const client = await site.sse();
    requireError((await client.ask(callOf('exit'), 3)).at(-1));
    await useConnection(client);
    client.leave();
  },
  'a WebSocket that is closed after a crash': async (site) => {
    const client = await site.webSocket();
    requireError((await client.ask(callOf('exit'), 3)).at(-1));
    client.ws.close();
    await client.end();
  },
};

/** Of sessions whose deployment is paused beneath them. All of one cycle. */
export async function pausedBeneath(site: Site): Promise<void> {
  const [http, alsoHttp, sse, alsoSse, ws, alsoWs] = await Promise.all([
    site.http(),
    site.http(),
    site.sse(),
    site.sse(),
    site.webSocket(),
    site.webSocket(),
  ]);
  await site.pause();
  // Half of them leave while it is paused; one that wakes it does not wait for that; the others do.
  alsoSse.leave();
  alsoWs.ws.terminate();
  await endHttp(alsoHttp);
  await site.leaveHandshake();
  await Promise.all([useHttp(http), useConnection(sse), useConnection(ws)]);
  await endHttp(http);
  sse.leave();
  ws.ws.close();
  await ws.end();
}

/** Of clients of the era without sessions. */
export const MODERN: Record<string, Way> = {
  'a request of the modern era': (site) => site.modernCall('echo'),
  'a client of the modern era that leaves in the middle of a call': async (site) => {
    const leaving = new AbortController();
    const unanswered = site.modernCall('silence', leaving.signal).catch(() => undefined);
    await site.modernCall('echo');
    leaving.abort();
    await unanswered;
  },
  'a WebSocket of the modern era that is closed': async (site) => {
    const client = await site.connectWebSocket();
    site.opened++;
    await client.ask(modern(1, 'tools/list'), 1);
    client.ws.close();
    await client.end();
  },
};

function requireError(message: object | undefined): void {
  if (!message || !('error' in message))
    throw new Error(`The call was answered by ${JSON.stringify(message)}`);
}
