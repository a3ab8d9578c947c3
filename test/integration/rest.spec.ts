import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

interface Problem {
  status: number;
  code: string;
  requestId: string;
  errors?: { field: string; message: string }[];
}

interface Page {
  items: Deployment[];
  nextCursor: string | null;
}

let service: Service;
let image: string;

beforeAll(async () => {
  image = await fixtureImage();
  service = await Service.start({ env: { ALLOWED_HOSTS: '' } });
});

afterAll(() => service.stop());

function send(body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${service.origin}/api/deployment`, {
    method: 'POST',
    headers: { 'x-api-key': service.apiKey, 'content-type': 'application/json', ...headers },
    body,
  });
}

async function problemIn(answer: Response): Promise<Problem> {
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  const problem = (await answer.json()) as Problem;
  expect(problem.status).toBe(answer.status);
  expect(problem.requestId).toBe(answer.headers.get('x-request-id'));
  return problem;
}

describe('a deployment', () => {
  it('is answered at once, runs, is shown without its secrets, and is gone when DELETE answers', async () => {
    const body = {
      image,
      transport: { type: 'stdio' },
      env: { TOKEN: 'hunter2' },
      name: 'one',
      deleteAfterSeconds: 3600,
    };
    const created = await service.api<Deployment>('POST', '/api/deployment', body);
    expect(created.status).toBe(201);
    const { id, accessToken = '' } = created.body;
    expect(created.headers.get('location')).toBe(`/api/deployment/${id}`);
    expect(created.headers.get('cache-control')).toBe('no-store');
    expect(created.body.status).toBe('pending');
    expect(accessToken).toMatch(/^mcpt_/);

    const running = await service.settled(id);
    expect(running).toMatchObject({
      status: 'running',
      statusReason: { code: 'ready' },
      envNames: ['TOKEN'],
      sandbox: { runtime: 'runsc', containerId: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      transport: { type: 'stdio', endpoint: null },
      urls: {
        mcp: `http://127.0.0.1:${service.port}/mcp-server/${id}/mcp`,
        sse: `http://127.0.0.1:${service.port}/mcp-server/${id}/sse`,
        ws: `ws://127.0.0.1:${service.port}/mcp-server/${id}/ws`,
      },
    });
    expect(JSON.stringify(running)).not.toMatch(new RegExp(`hunter2|${accessToken}`));

    expect((await service.api('DELETE', `/api/deployment/${id}`)).status).toBe(204);
    for (const method of ['GET', 'DELETE']) {
      const gone = await service.api<Problem>(method, `/api/deployment/${id}`);
      expect(gone).toMatchObject({ status: 404, body: { code: 'deployment_not_found' } });
    }
    expect(service.log).not.toMatch(new RegExp(`hunter2|${accessToken}|${service.apiKey}`));
  });

  it('is waited for with ?wait', async () => {
    const created = await service.api<Deployment>('POST', '/api/deployment?wait=60', {
      image,
      transport: { type: 'stdio' },
    });
    expect(created).toMatchObject({ status: 201, body: { status: 'running' } });
    await service.delete(created.body.id);
  });

  it('that fails says so to whoever waits', async () => {
    const body = { image: 'mcp-runner.invalid/nothing:0', transport: { type: 'stdio' } };
    const created = await service.api<Deployment>('POST', '/api/deployment?wait=60', body);
    expect(created).toMatchObject({
      status: 201,
      body: { status: 'failed', sandbox: { containerId: null } },
    });
    expect(created.body.statusReason.code).toMatch(/^image_/);
    await service.delete(created.body.id);
  });

  it('can be deleted while it starts, by two at once', async () => {
    const { id } = await service.create({ image });
    const both = await Promise.all([1, 2].map(() => service.api('DELETE', `/api/deployment/${id}`)));
    expect(both.map(({ status }) => status).every((status) => status === 204 || status === 404)).toBe(true);
    expect(both.some(({ status }) => status === 204)).toBe(true);
    expect((await service.api('GET', `/api/deployment/${id}`)).status).toBe(404);
  });

  it('is listed in pages, newest first, by name and status', async () => {
    const created = await Promise.all(['a', 'b', 'a'].map((name) => service.create({ image, name })));
    const ids: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const { body }: { body: Page } = await service.api<Page>(
        'GET',
        `/api/deployment?limit=2${cursor && `&cursor=${cursor}`}`,
      );
      ids.push(...body.items.map(({ id }) => id));
      cursor = body.nextCursor;
    }
    expect(ids.toSorted()).toEqual(created.map(({ id }) => id).toSorted());
    const named = await service.api<Page>('GET', '/api/deployment?name=a');
    expect(named.body.items).toHaveLength(2);
    expect((await service.api<Page>('GET', '/api/deployment?status=failed')).body.items).toEqual([]);
    await Promise.all(ids.map((id) => service.delete(id)));
  });
});

describe('a request that is wrong', () => {
  it.each([
    ['{"image": ', 400, 'malformed_json'],
    ['[]', 422, 'validation_failed'],
    ['{"image":"a","transport":{"type":"sse"}}', 422, 'validation_failed'],
    [`{"image":"${'x'.repeat(1_048_576)}"}`, 413, 'body_too_large'],
  ])('is refused as a problem: %.40s', async (body, status, code) => {
    const problem = await problemIn(await send(body));
    expect(problem).toMatchObject({ status, code });
  });

  it('creates nothing', async () => {
    const answer = await send(
      JSON.stringify({ image, transport: { type: 'stdio' }, maxMemory: '512', nope: 1 }),
    );
    const problem = await problemIn(answer);
    expect(problem.errors?.map(({ field }) => field).toSorted()).toEqual(['maxMemory', 'nope']);
    expect((await service.api<Page>('GET', '/api/deployment')).body.items).toEqual([]);
  });

  it('must be JSON', async () => {
    expect(await problemIn(await send('{}', { 'content-type': 'text/plain' }))).toMatchObject({
      status: 415,
    });
  });

  it('gets 404 where there is nothing, with a key and outside of /api also without', async () => {
    const headers = { 'x-api-key': service.apiKey };
    for (const path of ['/api/nothing', '/api/deployment/x/y', '/nothing', '/']) {
      expect(await problemIn(await fetch(`${service.origin}${path}`, { headers }))).toMatchObject({
        code: 'route_not_found',
      });
    }
    expect(await problemIn(await fetch(`${service.origin}/nothing`))).toMatchObject({ status: 404 });
  });
});

describe('health', () => {
  it('needs no key and names everything that a deployment needs', async () => {
    const answer = await fetch(`${service.origin}/health`);
    const health = (await answer.json()) as { status: string; checks: { name: string; ok: boolean }[] };
    expect(answer.status).toBe(200);
    expect(health.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['database', true],
      ['disk', true],
      ['engine', true],
      ['runtime', true],
      ['firewall', true],
    ]);
  });
});
