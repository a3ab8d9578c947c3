import { describe, expect, it } from 'vitest';
import type { LogLevel } from '../config/config.js';
import { ServiceLogger } from './service-logger.js';

const KEY = 'the-api-key-of-this-service';
/** Line breaks of every kind, a bell, colours, C1 controls, directions, a backspace, half a character. */
const HOSTILE =
  'a\nb\r\nc\u0007\u001b[31mred\u001b]0;title\u0007\u0085\u009b31m\u2028\u2029\u202e\u2066\u200b\ufeff\u007f\b\ud800';
const DANGEROUS =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800]/;

function newLogger(nodeEnv: 'production' | 'development', logLevel: LogLevel = 'debug') {
  const written: string[] = [];
  const out = { write: (text: string) => written.push(text) };
  const logger = new ServiceLogger(
    { nodeEnv, logLevel, apiKey: KEY, metricsKey: undefined },
    () => undefined,
    out,
    () => 0,
  );
  return { logger, written, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('the log in production', () => {
  it('is one line of JSON per event, with the same fields first', () => {
    const { logger, written, lines } = newLogger('production');
    logger.log({ event: 'deployment_status', deploymentId: 'dp_1', from: 'a', to: 'b' }, 'Deployments');
    logger.warn('A sentence.', 'Http');
    logger.error(new Error('broke'), undefined, 'Gateway');
    logger.error({ event: 'request_failed', requestId: 'r' }, 'Http');
    logger.fatal('end');
    const fixed = { time: '1970-01-01T00:00:00.000Z', pid: process.pid };
    expect(lines()).toEqual([
      {
        ...fixed,
        level: 'info',
        event: 'deployment_status',
        message: 'deployment status',
        context: 'Deployments',
        deploymentId: 'dp_1',
        from: 'a',
        to: 'b',
      },
      { ...fixed, level: 'warn', event: 'note', message: 'A sentence.', context: 'Http' },
      {
        ...fixed,
        level: 'error',
        event: 'fault',
        message: 'broke',
        context: 'Gateway',
        error: expect.stringMatching(/^Error: broke\n {4}at /),
      },
      {
        ...fixed,
        level: 'error',
        event: 'request_failed',
        message: 'request failed',
        context: 'Http',
        requestId: 'r',
      },
      { ...fixed, level: 'error', event: 'note', message: 'end' },
    ]);
    for (const line of written) expect(line).toMatch(/^\{"time":"[^"]+","level":"[a-z]+","event":.*\}\n$/);
  });

  it('cannot be forged by what is logged', () => {
    const { logger, written, lines } = newLogger('production');
    logger.warn(
      { event: HOSTILE, message: HOSTILE, [HOSTILE]: HOSTILE, time: 'x', level: 'x', pid: 0 },
      HOSTILE,
    );
    logger.log(HOSTILE);
    logger.error(new Error(HOSTILE));
    for (const line of written) {
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(line).not.toMatch(DANGEROUS);
    }
    expect(lines()[0]).toMatchObject({ time: '1970-01-01T00:00:00.000Z', level: 'warn', pid: process.pid });
    // Nothing is lost but the half character, which no UTF-8 can say.
    expect(lines()[1]?.['message']).toBe(HOSTILE);
  });

  it('has no secrets, however careless the call', () => {
    const { logger, written } = newLogger('production');
    logger.log(
      { event: 'e', apiKey: 'plain-secret', env: { TOKEN: 'plain-secret' }, note: `key ${KEY}` },
      KEY,
    );
    logger.error(new Error(`with ${KEY}`, { cause: new Error('Bearer plain-secret') }));
    logger.warn(`POST /mcp with ${KEY}`);
    logger.error('message', `stack of ${KEY}`, 'Nest');
    expect(written.join('')).not.toMatch(/plain-secret|the-api-key/);
  });
});

describe('the log in development', () => {
  it('is for eyes: a line, and stacks below it', () => {
    const { logger, written } = newLogger('development');
    logger.log(
      { event: 'deployment_status', deploymentId: 'dp_1', to: 'running', why: 'two words' },
      'Deployments',
    );
    logger.warn('A sentence.', 'Http');
    logger.error({ event: 'request_failed', cause: 'Error: broke\n    at x' });
    expect(written.join('').split('\n')).toEqual([
      '00:00:00.000 INFO  [Deployments] deployment_status deploymentId=dp_1 to=running why="two words"',
      '00:00:00.000 WARN  [Http] note - A sentence.',
      '00:00:00.000 ERROR request_failed',
      '    cause:',
      '    | Error: broke',
      '    |     at x',
      '',
    ]);
  });

  it('cannot be forged by what is logged, and does not command a terminal', () => {
    const { logger, written } = newLogger('development');
    logger.warn(
      { event: HOSTILE, message: HOSTILE, [HOSTILE]: HOSTILE, cause: HOSTILE, n: { x: HOSTILE } },
      HOSTILE,
    );
    logger.log(HOSTILE);
    logger.error(new Error(`x\n00:00:00.000 INFO  [Deployments] forged`));
    const lines = written.join('').split('\n');
    for (const line of lines) expect(line).not.toMatch(DANGEROUS);
    const events = lines.filter((line) => /^\d\d:\d\d:\d\d\.\d{3} [A-Z]/.test(line));
    expect(events).toHaveLength(3);
    for (const line of lines) expect(line).toMatch(/^(\d\d:\d\d:\d\d\.\d{3} | {4}|$)/);
  });
});

describe('the level', () => {
  it.each([
    ['error', 1],
    ['warn', 2],
    ['info', 3],
    ['debug', 5],
  ] as const)('%s lets what is as urgent through', (level, count) => {
    const { logger, written } = newLogger('production', level);
    logger.error('e');
    logger.warn('w');
    logger.log('l');
    logger.debug('d');
    logger.verbose('v');
    expect(written).toHaveLength(count);
  });

  it('does not concern what Nest says of itself', () => {
    const { logger, written } = newLogger('production');
    logger.log('Mapped {/x, GET} route', 'RouterExplorer');
    logger.error(new Error('told by serve.ts'), 'stack', 'ExceptionHandler');
    expect(written).toEqual([]);
  });
});
