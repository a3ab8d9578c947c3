import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';

const SOCKET = '/var/run/docker.sock';

/** What the engine itself answers to GET; undefined where the thing does not exist. */
export async function askEngine<T>(path: string, filters?: Record<string, string[]>): Promise<T | undefined> {
  const query = filters ? `?all=1&filters=${encodeURIComponent(JSON.stringify(filters))}` : '';
  const req = request({ socketPath: SOCKET, path: `${path}${query}`, agent: false }).end();
  const [answer] = (await once(req, 'response')) as [IncomingMessage];
  const body = await json(answer);
  if (answer.statusCode === 404) return undefined;
  if (answer.statusCode !== 200) {
    throw new Error(`GET ${path} answered ${answer.statusCode}: ${JSON.stringify(body)}`);
  }
  return body as T;
}
