/** The most urgent first; each includes those before it. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** How traces leave: OTLP over HTTP, in one of its two forms. */
export const TRACE_PROTOCOLS = ['http/protobuf', 'http/json'] as const;
export type TraceProtocol = (typeof TRACE_PROTOCOLS)[number];

/** The validated configuration. Injected by this class; nothing else reads the environment. */
export class Config {
  nodeEnv: 'production' | 'development' | 'test' = 'development';
  port = 3000;
  bindIp = '127.0.0.1';
  /** Absolute path; everything we keep on disk is below it. */
  dataDir = '/var/mcp-runner';
  /** Origin under which clients reach us, without a trailing slash; undefined: derived from BIND_IP and PORT. */
  publicUrl: string | undefined;
  /** Host names, beyond localhost, IP literals and PUBLIC_URL's, that public deployments answer to. */
  allowedHosts: string[] = [];
  /** Origins of browser clients that may call the gateway, beyond loopback and PUBLIC_URL. */
  corsOrigins: string[] = [];
  apiKey: string | undefined;
  logLevel: LogLevel = 'info';
  /** Opens /metrics and nothing else. */
  metricsKey: string | undefined;
  /** /metrics needs no key. */
  metricsPublic = false;
  /** Undefined: no traces. All else about them the OpenTelemetry SDK reads from the standard variables itself. */
  traceProtocol: TraceProtocol | undefined;
  sentryDsn: string | undefined;
  /** A deployment's start that takes longer is reported to Sentry. */
  slowStartSeconds = 30;
  dockerSocket = '/var/run/docker.sock';
  /** OCI runtime name as registered in the engine. */
  sandboxRuntime = 'runsc';
  /** Allows a runtime other than runsc; said loudly in /health. */
  allowUnsafeRuntime = false;
  /** IPv4 CIDR, /8 to /24, that deployments' /29 networks are cut from. */
  sandboxSubnetPool = '10.213.0.0/16';
  sandboxDns: string[] = ['8.8.8.8', '1.1.1.1'];
  /** First and last uid (= gid) that deployments get. */
  sandboxUidFirst = 200_000;
  sandboxUidLast = 265_535;
  /** Largest message in either direction, in bytes. */
  maxMessageBytes = 16 * 1024 * 1024;
  /** Largest REST body, in bytes. */
  maxApiBodyBytes = 1024 * 1024;
  /** Disk that the log of one deployment may take, in bytes. */
  logMaxBytesPerDeployment = 8 * 1024 * 1024;
  /** Seconds without use after which a session is over for good. */
  sessionExpiresAfterSeconds = 86_400;
  /** Longest time that one call may take, in seconds. */
  maxCallSeconds = 3600;
  /** Deployments whose sandboxes run at once, and the sum of their memory limits in MB; undefined: no limit. */
  maxRunning: number | undefined;
  maxRunningMemoryMb: number | undefined;
  /** Pause idle deployments early when others wait for room. */
  pauseUnderPressure = false;
}
