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
      SESSION_EXPIRES_AFTER_SECONDS: '3600',
      MAX_CALL_SECONDS: '600',
      LOG_MAX_BYTES_PER_DEPLOYMENT: '1048576',
      MAX_RUNNING: '50',
      MAX_RUNNING_MEMORY: '16384',
      PAUSE_UNDER_PRESSURE: 'true',
      LOG_LEVEL: 'warn',
      METRICS_KEY: 'a-key-for-the-scraper',
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
      sessionExpiresAfterSeconds: 3600,
      maxCallSeconds: 600,
      logMaxBytesPerDeployment: 1_048_576,
      maxRunning: 50,
      maxRunningMemoryMb: 16_384,
      pauseUnderPressure: true,
      logLevel: 'warn',
      metricsKey: 'a-key-for-the-scraper',
      traceProtocol: undefined,
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
    [
      { SESSION_EXPIRES_AFTER_SECONDS: '59' },
      'SESSION_EXPIRES_AFTER_SECONDS must be a whole number from 60 to 31536000, not "59"',
    ],
    [
      { LOG_MAX_BYTES_PER_DEPLOYMENT: '8MB' },
      'LOG_MAX_BYTES_PER_DEPLOYMENT must be a whole number from 1048576 to 268435456, not "8MB"',
    ],
    [{ MAX_CALL_SECONDS: '1h' }, 'MAX_CALL_SECONDS must be a whole number from 60 to 86400, not "1h"'],
    [{ MAX_RUNNING: '0' }, 'MAX_RUNNING must be a whole number from 1 to 100000, not "0"'],
    [{ MAX_RUNNING_MEMORY: '63' }, 'MAX_RUNNING_MEMORY must be a whole number from 64 to 16777216, not "63"'],
    [{ PAUSE_UNDER_PRESSURE: 'yes' }, 'PAUSE_UNDER_PRESSURE must be one of true, false, not "yes"'],
    [{ LOG_LEVEL: 'trace' }, 'LOG_LEVEL must be one of error, warn, info, debug, not "trace"'],
    [{ METRICS_KEY: 'short' }, 'METRICS_KEY must be 12 to 512 visible ASCII characters without spaces'],
    [{ METRICS_PUBLIC: 'yes' }, 'METRICS_PUBLIC must be one of true, false, not "yes"'],
    [
      { METRICS_PUBLIC: 'true', METRICS_KEY: 'a-key-for-the-scraper' },
      'METRICS_KEY protects nothing while METRICS_PUBLIC=true opens /metrics to everybody: set one of them',
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'user:secret@collector' },
      'OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://localhost:4318',
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      'OTEL_EXPORTER_OTLP_PROTOCOL must be one of http/protobuf, http/json, not "grpc"',
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_TRACES_EXPORTER: 'console' },
      'OTEL_TRACES_EXPORTER must be one of otlp, none, not "console"',
    ],
    [{ SANDBOX_UID_FIRST: '300000' }, 'SANDBOX_UID_FIRST must not be greater than SANDBOX_UID_LAST'],
  ])('names the mistake in %j', (env, mistake) => {
    expect(mistakesOf(env)).toEqual([mistake]);
  });

  it.each([
    [{}, undefined],
    [{ OTEL_SERVICE_NAME: 'x', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, 'http/protobuf'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://c/v1/traces' }, 'http/protobuf'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, 'http/json'],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c',
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
      },
      'http/protobuf',
    ],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_SDK_DISABLED: 'TRUE' }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_EXPORTER: 'none' }, undefined],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c',
        OTEL_TRACES_EXPORTER: 'none',
        OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      },
      undefined,
    ],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c',
        OTEL_SDK_DISABLED: 'true',
        OTEL_TRACES_EXPORTER: 'console',
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc',
      },
      undefined,
    ],
  ])('traces as the standard variables %j say: %s', (env, protocol) => {
    expect(loadConfig(env).traceProtocol).toBe(protocol);
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
