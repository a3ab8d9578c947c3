import { isIP, isIPv4 } from 'node:net';
import { isAbsolute } from 'node:path';
import { Config, LOG_LEVELS } from './config.js';
import { EnvReader } from './env-reader.js';
import { parseCidr } from './ipv4.js';
import { readTraceProtocol } from './trace-protocol.js';

const MEBIBYTE = 1024 * 1024;

/** The configuration that `env` describes. Throws `ConfigError` with one line per mistake. */
export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  const reader = new EnvReader(env);
  const found: { [Field in keyof Config]: Config[Field] | undefined } = {
    nodeEnv: reader.oneOf('NODE_ENV', ['production', 'development', 'test'] as const),
    port: reader.integer('PORT', 0, 65_535),
    bindIp: reader.text(
      'BIND_IP',
      (value) => isIP(value) !== 0,
      'an IP address such as 127.0.0.1 or 0.0.0.0',
    ),
    dataDir: reader.text('DATA_DIR', isAbsolute, 'an absolute path'),
    publicUrl: reader.text(
      'PUBLIC_URL',
      isOrigin,
      'an origin such as https://mcp.example.com, without a path',
    ),
    allowedHosts: reader.list('ALLOWED_HOSTS', isHostName, 'host names without ports, separated by commas'),
    corsOrigins: reader.list(
      'CORS_ORIGINS',
      isOrigin,
      'origins such as https://app.example.com, separated by commas',
    ),
    apiKey: reader.text('API_KEY', isKey, '12 to 512 visible ASCII characters without spaces', 'secret'),
    logLevel: reader.oneOf('LOG_LEVEL', LOG_LEVELS),
    metricsKey: reader.text(
      'METRICS_KEY',
      isKey,
      '12 to 512 visible ASCII characters without spaces',
      'secret',
    ),
    metricsPublic: reader.boolean('METRICS_PUBLIC'),
    traceProtocol: readTraceProtocol(reader),
    sentryDsn: reader.text('SENTRY_DSN', isDsn, 'a DSN such as https://key@host/project', 'secret'),
    slowStartSeconds: reader.integer('SLOW_START_SECONDS', 1, 86_400),
    dockerSocket: reader.text('DOCKER_SOCKET', isAbsolute, 'an absolute path'),
    sandboxRuntime: reader.text('SANDBOX_RUNTIME', isRuntimeName, 'the name of an OCI runtime such as runsc'),
    allowUnsafeRuntime: reader.boolean('ALLOW_UNSAFE_RUNTIME'),
    sandboxSubnetPool: reader.text(
      'SANDBOX_SUBNET_POOL',
      isPool,
      'a private IPv4 network, /8 to /24, such as 10.213.0.0/16',
    ),
    sandboxDns: reader.list('SANDBOX_DNS', isIPv4, 'IPv4 addresses, separated by commas'),
    sandboxUidFirst: reader.integer('SANDBOX_UID_FIRST', 10_000, 4_000_000_000),
    sandboxUidLast: reader.integer('SANDBOX_UID_LAST', 10_000, 4_000_000_000),
    maxMessageBytes: reader.integer('MAX_MESSAGE_BYTES', 65_536, 256 * MEBIBYTE),
    maxApiBodyBytes: reader.integer('MAX_API_BODY_BYTES', 65_536, 16 * MEBIBYTE),
    logMaxBytesPerDeployment: reader.integer('LOG_MAX_BYTES_PER_DEPLOYMENT', MEBIBYTE, 256 * MEBIBYTE),
    sessionExpiresAfterSeconds: reader.integer('SESSION_EXPIRES_AFTER_SECONDS', 60, 31_536_000),
    maxCallSeconds: reader.integer('MAX_CALL_SECONDS', 60, 86_400),
    maxRunning: reader.integer('MAX_RUNNING', 1, 100_000),
    maxRunningMemoryMb: reader.integer('MAX_RUNNING_MEMORY', 64, 16_777_216),
    pauseUnderPressure: reader.boolean('PAUSE_UNDER_PRESSURE'),
  };
  const config = Object.assign(new Config(), withoutAbsent(found));
  config.publicUrl = config.publicUrl && new URL(config.publicUrl).origin;
  config.corsOrigins = config.corsOrigins.map((origin) => new URL(origin).origin);
  if (config.sandboxUidFirst > config.sandboxUidLast) {
    reader.refuseTogether('SANDBOX_UID_FIRST must not be greater than SANDBOX_UID_LAST');
  }
  if (config.sandboxRuntime !== 'runsc' && !config.allowUnsafeRuntime) {
    reader.refuseTogether(
      `SANDBOX_RUNTIME=${config.sandboxRuntime} gives untrusted servers less isolation than runsc; set ALLOW_UNSAFE_RUNTIME=true as well if that is meant`,
    );
  }
  if (config.metricsPublic && config.metricsKey !== undefined) {
    reader.refuseTogether(
      'METRICS_KEY protects nothing while METRICS_PUBLIC=true opens /metrics to everybody: set one of them',
    );
  }
  reader.throwIfMistaken();
  return config;
}

function withoutAbsent(found: object): object {
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

function isOrigin(value: string): boolean {
  const url = URL.parse(value);
  return (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.pathname === '/' &&
    `${url.search}${url.hash}${url.username}` === ''
  );
}

function isHostName(value: string): boolean {
  return (
    value.length <= 253 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(value)
  );
}

function isKey(value: string): boolean {
  return /^[\x21-\x7e]{12,512}$/.test(value);
}

function isDsn(value: string): boolean {
  const url = URL.parse(value);
  // As the SDK reads it: one that it does not understand, it would only complain about, and send nothing.
  return (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    /^\w+$/.test(url.username) &&
    /\/\d+$/.test(url.pathname) &&
    `${url.search}${url.hash}` === ''
  );
}

function isRuntimeName(value: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(value);
}

/** Private, because the pool's addresses are unreachable for sandboxes and must be nobody's on the internet. */
function isPool(value: string): boolean {
  const range = parseCidr(value);
  const prefix = Number(value.split('/')[1]);
  if (range === undefined || prefix < 8 || prefix > 24) return false;
  return ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].some((network) => {
    const outer = parseCidr(network);
    return outer !== undefined && range.first >= outer.first && range.last <= outer.last;
  });
}
