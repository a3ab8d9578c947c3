import type { RawClient } from '../support/client-raw.js';
import { endHttp, type Site, useHttp } from './site.js';

/** Sessions whose server process ends because nobody uses them; half come back, and all are deleted. */
export async function fallAsleep(site: Site, count: number): Promise<void> {
  const clients = await openAll(site, count);
  await site.untilAsleep();
  await Promise.all(
    clients.map(async (client, index) => {
      if (index % 2 === 0) await useHttp(client);
      await endHttp(client);
    }),
  );
}

/** Sessions that are never heard of again, some in the middle of a call. Resolves when their processes have ended. */
export async function vanish(site: Site, count: number): Promise<void> {
  const clients = await openAll(site, count);
  await Promise.all(clients.filter((_client, index) => index % 4 === 0).map((client) => leaveCall(client)));
  await site.untilAsleep();
}

function openAll(site: Site, count: number): Promise<RawClient[]> {
  return Promise.all(Array.from({ length: count }, () => site.http()));
}

async function leaveCall(client: RawClient): Promise<void> {
  const leaving = new AbortController();
  const unanswered = client.call(3, 'silence', {}, { signal: leaving.signal }).catch(() => undefined);
  await useHttp(client);
  leaving.abort();
  await unanswered;
}
