import { execFile } from 'node:child_process';
import { SourceMap } from 'node:module';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sqlite } from '../support/database-ground.js';
import { FakeSentry } from '../support/fake-sentry.js';
import { tinyImage } from '../support/fixture-image.js';
import { Service } from '../support/service.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const COMMAND = join(ROOT, 'dist/cli/main.js');
const PATIENCE = { timeout: 30_000 };
/** None of it may leave the machine. */
const SECRETS = {
  arg: 'secret-of-an-argument',
  env: 'secret-of-the-environment',
  body: 'secret-of-a-body',
  header: 'secret-of-a-header',
  query: 'secret-of-a-query',
  name: 'secret-of-a-name',
};

interface Frame {
  filename: string;
  lineno: number;
  colno: number;
  in_app: boolean;
}

interface SentryEvent {
  release: string;
  message?: string;
  tags: Record<string, string>;
  extra?: Record<string, number>;
  exception?: { values: { type: string; value?: string; stacktrace: { frames: Frame[] } }[] };
}

let sentry: FakeSentry;
let service: Service;
let token: string;
let id: string;

beforeAll(async () => {
  const image = await tinyImage();
  sentry = await FakeSentry.start();
  service = await Service.start({ env: { SENTRY_DSN: sentry.dsn, SLOW_START_SECONDS: '1' } });
  const deployment = await service.deploy({
    image,
    args: ['--boot-slowly', SECRETS.arg],
    env: { TOKEN: SECRETS.env },
    name: SECRETS.name,
  });
  ({ id } = deployment);
  token = deployment.accessToken;
});

afterAll(async () => {
  await service.stop();
  await sentry.stop();
});

function events(): SentryEvent[] {
  return sentry.envelopes.flatMap(({ items }) => items.map(({ body }) => body as SentryEvent));
}

function errors(code: string): SentryEvent[] {
  return events().filter(({ tags }) => tags['code'] === code);
}

function createAgain(): Promise<{ status: number }> {
  return service.api(
    'POST',
    '/api/deployment',
    { image: 'a/b:1', transport: { type: 'stdio' }, env: { A: SECRETS.body }, args: [SECRETS.arg] },
    { 'x-api-key': service.apiKey, 'x-other': SECRETS.header, cookie: `a=${SECRETS.header}` },
  );
}

function initialize(): Promise<Response> {
  return fetch(`${service.origin}/mcp-server/${id}/mcp?x=${SECRETS.query}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
      'mcp-session-id': SECRETS.header,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: SECRETS.body, method: 'initialize', params: {} }),
  });
}

/** While something is wrong with the database. */
async function withFault(make: string, mend: string, work: () => Promise<void>): Promise<void> {
  const path = join(service.dataDir, 'mcp-runner.sqlite');
  const run = (text: string): void => sqlite(path, (connection) => void connection.exec(text));
  run(make);
  try {
    await work();
  } finally {
    run(mend);
  }
}

/** Every row that is written is an error that quotes it. */
function withTellTales(work: () => Promise<void>): Promise<void> {
  const trigger = 'BEFORE INSERT ON deployments BEGIN SELECT RAISE(ABORT, NEW.env || NEW.args); END';
  return withFault(`CREATE TRIGGER tell_tale ${trigger}`, 'DROP TRIGGER tell_tale', work);
}

function withoutTable(work: () => Promise<void>): Promise<void> {
  return withFault(
    'ALTER TABLE deployments RENAME TO elsewhere',
    'ALTER TABLE elsewhere RENAME TO deployments',
    work,
  );
}

function run(
  program: string,
  args: string[],
  settings: Record<string, string>,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const options = { cwd: '/', env: { PATH: env['PATH'] ?? '', ...settings } };
    const child = execFile(program, args, options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    );
  });
}

describe('a service with a SENTRY_DSN', () => {
  it('reports a slow start: how long, how it ended, and what kind it was', async () => {
    await expect.poll(() => events().length, PATIENCE).toBeGreaterThan(0);
    const [event] = events();
    expect(event).toMatchObject({
      message: 'A deployment started slowly',
      level: 'warning',
      environment: 'production',
      tags: { transport: 'stdio', kind: 'start', outcome: 'ready' },
    });
    const { durationMs = 0, sandboxMs = 0, serverMs = 0 } = event?.extra ?? {};
    expect(serverMs).toBeGreaterThan(1900);
    expect(durationMs).toBeGreaterThanOrEqual(serverMs + sandboxMs - 1);
  });

  it('reports an error of ours once, however often it comes, with its place and the request', async () => {
    await withTellTales(async () => {
      const answers = await Promise.all(Array.from({ length: 40 }, createAgain));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 500));
      await expect.poll(() => errors('internal_error').length, PATIENCE).toBe(1);
    });
    // It does quote what it was about.
    expect(service.log).toContain(SECRETS.body);
    await withoutTable(async () => {
      const answer = await initialize();
      expect(answer.status).toBe(500);
      const requestId = answer.headers.get('x-request-id');
      expect(requestId).toMatch(/^\S+$/);
      // That of the gateway.
      await expect
        .poll(
          () => errors('internal_error').filter(({ tags }) => tags['requestId'] === requestId).length,
          PATIENCE,
        )
        .toBe(1);
    });
    const [event] = errors('internal_error');
    expect(event?.tags).toMatchObject({
      cause: 'SQLITE_CONSTRAINT_TRIGGER',
      requestId: expect.stringMatching(/^\S+$/),
    });
    const [exception] = event?.exception?.values ?? [];
    expect(exception).not.toHaveProperty('value');
    expect(exception?.stacktrace.frames.some((frame) => frame.in_app)).toBe(true);
    expect((await service.get(id)).status).toBe('running');
  });

  it('sends nothing else: each envelope is one event of what is allowed, and holds no secret and no trace of the host', () => {
    expect(sentry.envelopes.length).toBeGreaterThan(2);
    const secrets = [
      ...Object.values(SECRETS),
      service.apiKey,
      token,
      id,
      service.dataDir,
      ROOT.replace(/\/$/, ''),
      hostname(),
      `/home/${userInfo().username}`,
      'tiny-server',
    ];
    for (const { header, items, raw } of sentry.envelopes) {
      for (const secret of secrets) expect(raw).not.toContain(secret);
      expect(Object.keys(header).sort()).toEqual(['event_id', 'sdk', 'sent_at']);
      expect(items.map((item) => item.header['type'])).toEqual(['event']);
      const event = items[0]?.body as SentryEvent;
      const allowed = ['event_id', 'timestamp', 'environment', 'release', 'platform', 'level', 'tags', 'sdk'];
      const more = event.exception === undefined ? ['message', 'fingerprint', 'extra'] : ['exception'];
      expect(Object.keys(event).filter((key) => ![...allowed, ...more].includes(key))).toEqual([]);
      expect(event.release).toMatch(/^mcp-runner@\d+\.\d+\.\d+\+[0-9a-f]{12}$/);
      for (const value of event.exception?.values ?? []) {
        expect(Object.keys(value).sort()).toEqual(['stacktrace', 'type']);
        for (const { filename } of value.stacktrace.frames)
          expect(filename).toMatch(/^(app:\/\/\/(dist|node_modules)\/|node:|<anonymous>$)/);
      }
    }
  });

  it('goes on while Sentry is there but does not answer', async () => {
    sentry.isSilent = true;
    const before = sentry.envelopes.length;
    await withoutTable(async () => {
      const answers = [
        await service.api('GET', '/api/deployment'),
        await service.api('GET', `/api/deployment/${id}`),
        await service.api('DELETE', `/api/deployment/${id}`),
      ];
      expect(answers.map(({ status }) => status)).toEqual([500, 500, 500]);
    });
    await expect.poll(() => sentry.envelopes.length, PATIENCE).toBeGreaterThan(before);
    expect((await service.get(id)).status).toBe('running');
    // That it ends in order all the same is what `stop` insists on.
  });
});

describe('publish:sourcemap', () => {
  const variables = {
    SENTRY_ORG: 'an-org',
    SENTRY_PROJECT: 'a-project',
    SENTRY_AUTH_TOKEN: 'sntrys_of-this-spec',
  };

  it('sends maps under the release and the paths of the events, so that these are found in the sources', async () => {
    const { code, output } = await run(execPath, [COMMAND, 'publish:sourcemap'], {
      ...variables,
      SENTRY_URL: sentry.url,
    });
    expect(output).toMatch(
      /^Sending the source maps of mcp-runner@\S+ to an-org\/a-project\.\nSentry has them\.\n$/,
    );
    expect(code).toBe(0);
    expect([...sentry.tokens]).toEqual([`Bearer ${variables.SENTRY_AUTH_TOKEN}`]);
    const [bundle] = sentry.bundles;
    const [event] = errors('internal_error');
    expect(bundle?.request).toMatchObject({ version: event?.release, projects: ['a-project'] });
    const manifest = JSON.parse(bundle?.files.get('manifest.json') ?? '{}') as {
      files: Record<string, { url: string }>;
    };
    const contentOf = (url: string): string => {
      const entry = Object.entries(manifest.files).find(([, file]) => file.url === url);
      return bundle?.files.get(entry?.[0] ?? '') ?? '';
    };
    const frames = event?.exception?.values[0]?.stacktrace.frames.filter((frame) => frame.in_app) ?? [];
    expect(frames.length).toBeGreaterThan(0);
    for (const { filename, lineno, colno } of frames) {
      const url = filename.replace('app:///', '~/');
      expect(contentOf(url)).toContain('//# sourceMappingURL=');
      const map = JSON.parse(contentOf(`${url}.map`)) as ConstructorParameters<typeof SourceMap>[0];
      expect(map.sourcesContent?.[0]).toContain('import');
      const place = new SourceMap(map).findEntry(lineno - 1, colno - 1);
      expect('originalSource' in place && place.originalSource).toMatch(/src\/.*\.ts$/);
    }
  });

  it('says in a line each which variables are missing, and what Sentry refuses', async () => {
    const { code, output } = await run(execPath, [COMMAND, 'publish:sourcemap'], {
      SENTRY_PROJECT: 'no slug!',
    });
    expect(code).toBe(64);
    expect(output.trimEnd().split('\n').sort()).toEqual([
      expect.stringMatching(/^Configuration: SENTRY_AUTH_TOKEN is missing: /),
      expect.stringMatching(/^Configuration: SENTRY_ORG is missing: /),
      expect.stringMatching(/^Configuration: SENTRY_PROJECT must be the slug of the project, /),
    ]);
    const refused = await run(execPath, [COMMAND, 'publish:sourcemap'], {
      ...variables,
      SENTRY_ORG: 'another',
      SENTRY_URL: `${sentry.url}/nowhere`,
    });
    expect(refused.code).toBe(1);
    expect(refused.output).toMatch(/mcp-runner: sentry-cli ended with exit code 1\. .*\n$/);
    expect(refused.output).not.toContain(variables.SENTRY_AUTH_TOKEN);
  });
});
