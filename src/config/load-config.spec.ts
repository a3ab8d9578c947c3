import { describe, expect, it } from 'vitest';
import { Config } from './config.js';
import { ConfigError } from './env-reader.js';
import { loadConfig } from './load-config.js';

function mistakesOf(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('gives the defaults for an empty environment, and for empty variables', () => {
    expect(loadConfig({})).toEqual(new Config());
    expect(loadConfig({ PORT: '', API_KEY: '  ', ALLOWED_HOSTS: '' })).toEqual(new Config());
  });

  it('takes what the README shows', () => {
    const config = loadConfig({
      NODE_ENV: 'production',
      API_KEY: 'your-secure-api-key',
      BIND_IP: '0.0.0.0',
      PORT: '8080',
      DATA_DIR: '/srv/mcp',
      PUBLIC_URL: 'https://mcp.example.com/',
      ALLOWED_HOSTS: 'a.example.com, b.example.com',
      SANDBOX_DNS: '9.9.9.9',
    });
    expect(config).toMatchObject({
      nodeEnv: 'production',
      apiKey: 'your-secure-api-key',
      bindIp: '0.0.0.0',
      port: 8080,
      dataDir: '/srv/mcp',
      publicUrl: 'https://mcp.example.com',
      allowedHosts: ['a.example.com', 'b.example.com'],
      sandboxDns: ['9.9.9.9'],
    });
    expect(loadConfig({ API_KEY: 'your-api-key' }).apiKey).toBe('your-api-key');
  });

  it.each([
    [{ NODE_ENV: 'prod' }, 'NODE_ENV must be one of production, development, test, not "prod"'],
    [{ PORT: '70000' }, 'PORT must be a whole number from 0 to 65535, not "70000"'],
    [{ PORT: '3e3' }, 'PORT must be a whole number from 0 to 65535, not "3e3"'],
    [{ BIND_IP: 'localhost' }, 'BIND_IP must be an IP address such as 127.0.0.1 or 0.0.0.0, not "localhost"'],
    [{ DATA_DIR: 'data' }, 'DATA_DIR must be an absolute path, not "data"'],
    [
      { PUBLIC_URL: 'https://a.example/mcp' },
      'PUBLIC_URL must be an origin such as https://mcp.example.com, without a path, not "https://a.example/mcp"',
    ],
    [
      { ALLOWED_HOSTS: 'a.example,b:80' },
      'ALLOWED_HOSTS must be host names without ports, separated by commas, not "a.example,b:80"',
    ],
    [{ ALLOW_UNSAFE_RUNTIME: '1' }, 'ALLOW_UNSAFE_RUNTIME must be one of true, false, not "1"'],
    [
      { SANDBOX_SUBNET_POOL: '8.8.0.0/16' },
      'SANDBOX_SUBNET_POOL must be a private IPv4 network, /8 to /24, such as 10.213.0.0/16, not "8.8.0.0/16"',
    ],
    [{ SANDBOX_UID_FIRST: '300000' }, 'SANDBOX_UID_FIRST must not be greater than SANDBOX_UID_LAST'],
  ])('names the mistake in %j', (env, mistake) => {
    expect(mistakesOf(env)).toEqual([mistake]);
  });

  it('refuses a weaker runtime unless that is meant', () => {
    expect(mistakesOf({ SANDBOX_RUNTIME: 'runc' })).toEqual([
      expect.stringContaining('ALLOW_UNSAFE_RUNTIME=true'),
    ]);
    expect(mistakesOf({ SANDBOX_RUNTIME: 'runc', ALLOW_UNSAFE_RUNTIME: 'true' })).toEqual([]);
  });

  it('lists all mistakes at once and prints no secret', () => {
    const mistakes = mistakesOf({
      PORT: 'x',
      NODE_ENV: 'y',
      API_KEY: 'hunter2',
      SENTRY_DSN: 'https://secret-without-project',
    });
    expect(mistakes).toHaveLength(4);
    expect(mistakes.join()).not.toMatch(/hunter2|secret/);
  });
});
