import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { reportable } from './event-filter.js';
import { SLOW_START, slowStartEvent } from './slow-start.js';

const ROOT = '/srv/hunter2/mcp-runner';
const REQUEST_ID = randomUUID();

function place(filename: string, rest: object): object {
  return { filename, abs_path: filename, ...rest };
}

describe('what is reported to Sentry', () => {
  it('holds nothing of requests, deployments, the machine or its environment', () => {
    const secret = 'hunter2';
    const report = reportable(
      {
        type: undefined,
        event_id: 'e1',
        release: 'mcp-runner@1.0.0+abc',
        message: secret,
        server_name: secret,
        transaction: secret,
        logger: secret,
        dist: secret,
        modules: { [secret]: '1' },
        fingerprint: [secret],
        sdkProcessingMetadata: { secret },
        tags: { requestId: REQUEST_ID, code: 'internal_error', cause: 'SQLITE_BUSY', other: secret },
        extra: { env: { TOKEN: secret }, args: [secret], durationMs: secret },
        contexts: { app: { secret }, os: { name: secret }, device: { name: secret } },
        user: { id: secret },
        request: { headers: { 'x-api-key': secret }, data: secret, url: secret },
        breadcrumbs: [{ message: secret }],
        exception: {
          values: [
            { type: 'Error', value: `the cause: ${secret}`, stacktrace: { frames: [{ filename: 'b.js' }] } },
            {
              type: 'Error',
              value: `docker run -e TOKEN=${secret}`,
              module: secret,
              mechanism: { type: secret, data: { secret } },
              stacktrace: {
                frames: [
                  { filename: `/home/${secret}/app/x.js`, function: 'g' },
                  { filename: 'node:internal/process', function: 'n' },
                  { filename: '<anonymous>', function: 'Promise' },
                  { filename: `${secret} of sorts`, function: 'u' },
                  { filename: `${ROOT}/node_modules/ws/lib/a.js`, function: 'w' },
                  {
                    filename: `file://${ROOT}/dist/a.js`,
                    abs_path: `${ROOT}/dist/a.js`,
                    function: 'f',
                    lineno: 1,
                    colno: 2,
                    vars: { secret },
                    pre_context: [secret],
                    context_line: secret,
                    post_context: [secret],
                    module: secret,
                  },
                ],
              },
            },
          ],
        },
      },
      ROOT,
    );
    expect(JSON.stringify(report)).not.toContain(secret);
    expect(report).toEqual({
      type: undefined,
      event_id: 'e1',
      release: 'mcp-runner@1.0.0+abc',
      platform: 'node',
      level: 'error',
      tags: { requestId: REQUEST_ID, code: 'internal_error', cause: 'SQLITE_BUSY' },
      exception: {
        values: [
          {
            type: 'Error',
            stacktrace: {
              frames: [
                place('outside:///x.js', { function: 'g', in_app: false }),
                place('node:internal/process', { function: 'n', in_app: false }),
                place('<anonymous>', { function: 'Promise', in_app: false }),
                place('unknown', { function: 'u', in_app: false }),
                place('app:///node_modules/ws/lib/a.js', { function: 'w', in_app: false }),
                place('app:///dist/a.js', { function: 'f', lineno: 1, colno: 2, in_app: true }),
              ],
            },
          },
        ],
      },
    });
  });

  it('has no words in place of codes: names and codes that are none are left out', () => {
    const words = 'the password is hunter2';
    const report = reportable(
      {
        type: undefined,
        tags: { requestId: words, code: words, cause: words, repeats: words },
        exception: { values: [{ type: words }] },
      },
      ROOT,
    );
    expect(JSON.stringify(report)).not.toContain('hunter2');
    expect(report.exception?.values?.[0]?.type).toBe('Error');
  });

  it.each(['hunter2', 'user:jane@example.com/42', 'A'.repeat(128), `${REQUEST_ID}/hunter2`])(
    'has no request id that a client has chosen: %s',
    (requestId) => {
      const { tags } = reportable({ type: undefined, tags: { requestId, code: 'internal_error' } }, ROOT);
      expect(tags).toEqual({ code: 'internal_error' });
    },
  );

  it('is of a slow start only how long it took, how it ended and what it was', () => {
    const start = {
      transport: 'stdio',
      kind: 'wake',
      outcome: 'hunter2: pull failed',
      seconds: 61.0004,
      sandboxSeconds: 1.0002,
    };
    const extra = { ...slowStartEvent(start).extra, image: 'hunter2' };
    expect(reportable({ type: undefined, ...slowStartEvent(start), extra }, ROOT)).toEqual({
      type: undefined,
      platform: 'node',
      level: 'warning',
      message: SLOW_START,
      fingerprint: ['slow-start', 'stdio', 'other'],
      tags: { transport: 'stdio', kind: 'wake', outcome: 'other' },
      extra: { durationMs: 61_000, sandboxMs: 1000, serverMs: 60_000 },
    });
  });
});
