import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiAnswer, type Deployment, Service } from '../support/service.js';

interface Problem {
  code: string;
  errors?: { field: string; message: string }[];
}

let service: Service;
/** Never started: a change needs no engine. */
let id: string;

beforeAll(async () => {
  service = await Service.start({ env: { MAX_RUNNING_MEMORY: '2048' } });
  const created = await service.api<Deployment>('POST', '/api/deployment', {
    image: 'mcp-runner.invalid/a',
    transport: { type: 'stdio' },
    autoStart: false,
    name: 'before',
    metadata: { team: 'search', tier: 'gold' },
    deleteAfterSeconds: 3600,
  });
  ({ id } = created.body);
});

afterAll(() => service.stop());

function patch<T = Deployment>(body: unknown, of = id): Promise<ApiAnswer<T>> {
  return service.api<T>('PATCH', `/api/deployment/${of}`, body);
}

describe('PATCH', () => {
  it('changes what it names, answers with all of it, and leaves the rest', async () => {
    const before = await service.get(id);
    const changes = {
      name: 'after',
      metadata: { team: 'ads' },
      pauseAfterSeconds: 60,
      sessionIdleSeconds: 120,
      maxSessions: 4,
      warmProcesses: 0,
      startTimeoutSeconds: 10,
      maxMemory: 256,
      maxCpus: 0.5,
      maxPids: 64,
    };
    const { status, body } = await patch(changes);
    expect(status).toBe(200);
    expect(body).toEqual({ ...before, ...changes });
    expect(await service.get(id)).toEqual(body);
    expect((await patch({})).body).toEqual(body);
  });

  it('takes away what is null, where it may be missing', async () => {
    const taken = { name: null, pauseAfterSeconds: null, deleteAfterSeconds: null };
    expect((await patch(taken)).body).toMatchObject({ ...taken, pauseAt: null, deleteAt: null });
    expect((await patch({ metadata: {} })).body).toMatchObject({ metadata: {} });
    for (const field of ['metadata', 'maxMemory', 'sessionIdleSeconds', 'maxSessions']) {
      const { status, body } = await patch<Problem>({ [field]: null });
      expect([status, body.errors?.map((error) => error.field)]).toEqual([422, [field]]);
    }
  });

  it('counts new idle times from the last activity', async () => {
    const { lastActivityAt } = (await patch({})).body as Deployment & { lastActivityAt: string };
    const { body } = await patch({ deleteAfterSeconds: 7200 });
    const deleteAt = new Date(Date.parse(lastActivityAt) + 7_200_000).toISOString();
    expect(body).toMatchObject({ deleteAfterSeconds: 7200, deleteAt });
  });

  it.each<[object, string[]]>([
    [{ image: 'other', env: { A: 'b' }, access: 'public' }, ['access', 'env', 'image']],
    [{ args: [], transport: { type: 'sse' }, maxDisk: 32 }, ['args', 'maxDisk', 'transport']],
    [{ status: 'running', id: 'dp_x', nope: 1 }, ['id', 'nope', 'status']],
    [{ pauseAfterSeconds: 29, deleteAfterSeconds: '60' }, ['deleteAfterSeconds', 'pauseAfterSeconds']],
    [{ maxMemory: 63, maxPids: 15, maxCpus: 65 }, ['maxCpus', 'maxMemory', 'maxPids']],
    [{ name: '', maxSessions: 0, warmProcesses: 9 }, ['maxSessions', 'name', 'warmProcesses']],
    [{ startTimeoutSeconds: 601, sessionIdleSeconds: 1.5 }, ['sessionIdleSeconds', 'startTimeoutSeconds']],
    [{ metadata: { 'a b': 'c' } }, ['metadata']],
    [{ maxMemory: 2049 }, ['maxMemory']],
  ])('refuses %j by name, and changes nothing', async (body, fields) => {
    const before = await service.get(id);
    const answer = await patch<Problem>({ name: 'not me', ...body });
    expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(answer.body.errors?.map(({ field }) => field).toSorted()).toEqual(fields);
    expect(await service.get(id)).toEqual(before);
  });

  it('needs a deployment, and an object', async () => {
    expect(await patch<Problem>({}, 'dp_none')).toMatchObject({ body: { code: 'deployment_not_found' } });
    expect(await patch<Problem>([])).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(await patch<Problem>('x')).toMatchObject({ status: 400, body: { code: 'malformed_json' } });
  });
});

describe('POST', () => {
  it('of more memory than all deployments may have is refused, naming the field', async () => {
    const body = { image: 'mcp-runner.invalid/a', transport: { type: 'stdio' }, maxMemory: 2049 };
    expect(await service.api<Problem>('POST', '/api/deployment', body)).toMatchObject({
      status: 422,
      body: {
        errors: [
          {
            field: 'maxMemory',
            message: 'must be at most 2048, the memory of all deployments here (MAX_RUNNING_MEMORY)',
          },
        ],
      },
    });
  });
});
