import { describe, expect, it } from 'vitest';
import { ConfigError } from './env-reader.js';
import { loadSentryUpload } from './sentry-upload.js';

function mistakesOf(env: Record<string, string>): string[] {
  try {
    loadSentryUpload(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

describe('what publish:sourcemap needs', () => {
  const whole = { SENTRY_ORG: 'an-org', SENTRY_PROJECT: 'a-project', SENTRY_AUTH_TOKEN: 'sntrys_secret' };

  it('is complete or named, a line for each that is missing or wrong; the token is never repeated', () => {
    expect(loadSentryUpload({ ...whole, HTTPS_PROXY: 'http://proxy', SECRET: 'x' })).toEqual({
      org: 'an-org',
      project: 'a-project',
      authToken: 'sntrys_secret',
      url: undefined,
      network: { HTTPS_PROXY: 'http://proxy' },
    });
    expect(mistakesOf({}).map((line) => line.split(' ', 1)[0])).toEqual([
      'SENTRY_ORG',
      'SENTRY_PROJECT',
      'SENTRY_AUTH_TOKEN',
    ]);
    const wrong = mistakesOf({ ...whole, SENTRY_AUTH_TOKEN: 'has spaces in it', SENTRY_URL: 'ftp://x' });
    expect(wrong).toHaveLength(2);
    expect(wrong.join()).not.toContain('spaces in it');
  });
});
