import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { promisify } from 'node:util';
import { tokenOf } from './client.js';
import { answerText, RawClient } from './client-raw.js';
import type { Deployment, Service } from './service.js';

const BUSYBOX = '/.mcp-runner/busybox';

/** The command lines of what runs in a deployment's sandbox, but for its first process and the one that looks. */
export async function processesIn({ sandbox }: Deployment): Promise<string[]> {
  const { stdout } = await promisify(execFile)('docker', [
    'exec',
    String(sandbox.containerId),
    BUSYBOX,
    'ps',
    '-o',
    'pid,args',
  ]);
  const lines = stdout.split('\n').slice(1);
  return lines.map((line) => line.trim()).filter((line) => !/^1 |busybox ps|^$/.test(line));
}

function pidOf(service: Service): number {
  const pid = /"pid":(\d+)/.exec(service.log)?.[1];
  if (pid === undefined) throw new Error('The service has logged nothing yet');
  return Number(pid);
}

/** The memory of the control plane, in MB. */
export function residentMb(service: Service): number {
  const status = readFileSync(`/proc/${pidOf(service)}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

export async function openSession(
  deployment: Deployment,
  capabilities: Record<string, unknown> = {},
): Promise<RawClient> {
  const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
  await client.open(capabilities);
  return client;
}

/** A session that is only there to notice what the others do. */
export class Witness {
  private calls = 0;

  private constructor(private readonly client: RawClient) {}

  static async in(deployment: Deployment): Promise<Witness> {
    return new Witness(await openSession(deployment));
  }

  /** Throws where its server process is another one, or anything came that was not for it. */
  async isUndisturbed(): Promise<void> {
    this.calls += 1;
    const answer = await this.client.call(1, 'session_counter');
    const count = answerText(answer);
    if (count !== String(this.calls)) throw new Error(`Call ${this.calls} was counted as ${count}`);
    if (answer.messages.length !== 1)
      throw new Error(`Others' messages came: ${JSON.stringify(answer.messages)}`);
  }

  async read(tool: string, args: Record<string, unknown>): Promise<string> {
    return answerText(await this.client.call(1, tool, args));
  }
}

/** POST as a client of this session, and read nothing of the answer but its head until somebody does. */
export async function postUnread(
  client: RawClient,
  token: Record<string, string>,
  body: unknown,
): Promise<IncomingMessage> {
  const sent = request(client.url, {
    method: 'POST',
    agent: false,
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      'mcp-session-id': client.sessionId,
      'mcp-protocol-version': client.revision,
      ...token,
    },
  });
  sent.end(JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}
