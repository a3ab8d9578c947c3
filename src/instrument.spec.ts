import { describe, expect, it } from 'vitest';
import { reportable } from './instrument.js';

describe('what is reported to Sentry', () => {
  it('holds nothing of requests, deployments, the machine or its environment', () => {
    const secret = 'hunter2';
    const report = reportable({
      type: undefined,
      event_id: 'e1',
      message: secret,
      server_name: secret,
      tags: { requestId: 'r1', code: 'internal_error', other: secret },
      extra: { env: { TOKEN: secret }, args: [secret] },
      contexts: { app: { secret } },
      user: { id: secret },
      request: { headers: { 'x-api-key': secret }, data: secret, url: secret },
      breadcrumbs: [{ message: secret }],
      exception: {
        values: [
          {
            type: 'Error',
            value: `docker run -e TOKEN=${secret}`,
            stacktrace: {
              frames: [
                { filename: 'a.js', function: 'f', lineno: 1, vars: { secret }, context_line: secret },
              ],
            },
          },
        ],
      },
    });
    expect(JSON.stringify(report)).not.toContain(secret);
    expect(report).toMatchObject({
      event_id: 'e1',
      tags: { requestId: 'r1', code: 'internal_error' },
      exception: {
        values: [{ type: 'Error', stacktrace: { frames: [{ filename: 'a.js', function: 'f', lineno: 1 }] } }],
      },
    });
  });
});
