import { join } from 'node:path';
import type { Logger } from '@nestjs/common';
import type { Config } from './config/config.js';
import { packageVersion } from './config/package-version.js';
import { stackOf } from './errors/stack-of.js';
import { causeCodeOf, kindOf } from './reports/error-kind.js';
import { reportable } from './reports/event-filter.js';
import { impatientHttp } from './reports/impatient-http.js';
import { releaseOf } from './reports/release.js';
import { ReportLimit } from './reports/report-limit.js';
import { type SlowStart, slowStartEvent } from './reports/slow-start.js';

const FLUSH_MS = 2000;
const REPORTS_PER_MINUTE = 20;
/** Under way to a Sentry that does not answer; more are dropped. */
const REPORTS_AT_ONCE = 10;
const ROOT = join(import.meta.dirname, '..');

/** Loaded only where it is wanted: it takes 25 MB. */
let sentry: typeof import('@sentry/node') | undefined;
const limit = new ReportLimit(REPORTS_PER_MINUTE);

/**
 * Report errors of ours and slow starts to Sentry, if the operator wants that. Nothing else: no traces, no sessions, no
 * breadcrumbs, no counts of what was dropped.
 */
export async function startSentry(config: Config): Promise<void> {
  if (config.sentryDsn === undefined) return;
  const sdk = await import('@sentry/node');
  sdk.init({
    dsn: config.sentryDsn,
    environment: config.nodeEnv,
    release: releaseOf(packageVersion(), import.meta.dirname),
    sendDefaultPii: false,
    includeServerName: false,
    sendClientReports: false,
    maxBreadcrumbs: 0,
    // What the SDK would otherwise take from the environment.
    spotlight: false,
    enableLogs: false,
    skipOpenTelemetrySetup: true,
    // The default ones read requests, the environment and local variables, and decide when the process ends.
    defaultIntegrations: false,
    beforeSend: (event) => reportable(event, ROOT),
    transport: (options) => sdk.makeNodeTransport({ ...options, httpModule: impatientHttp }),
    transportOptions: { bufferSize: REPORTS_AT_ONCE },
  });
  sentry = sdk;
}

/** Tell the operator's Sentry, if there is one. The tags are part of what leaves the machine. */
export function report(error: unknown, tags: { requestId?: string; code?: string } = {}): void {
  if (sentry === undefined) return;
  const repeats = limit.admit(kindOf(error), Date.now());
  if (repeats === undefined) return;
  const cause = causeCodeOf(error);
  sentry.captureException(error, {
    tags: { ...tags, ...(cause !== undefined && { cause }), ...(repeats > 0 && { repeats }) },
  });
}

/** Tell the operator's Sentry of a start that took longer than it may. */
export function reportSlowStart(start: SlowStart): void {
  if (sentry === undefined) return;
  const event = slowStartEvent(start);
  const repeats = limit.admit(event.fingerprint.join(' '), Date.now());
  if (repeats === undefined) return;
  sentry.captureEvent({ ...event, tags: { ...event.tags, ...(repeats > 0 && { repeats }) } });
}

/**
 * The last net: an error that nobody caught. One rejected promise or broken socket must not take all deployments'
 * conversations with it; any other uncaught exception leaves us in an unknown state, so the process ends, and its next
 * start takes the sandboxes over.
 */
export function guardProcess(logger: Logger): void {
  // A log that nobody reads any more: as an uncaught error it would be logged, which fails again, for ever.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  process.on('unhandledRejection', (error) => {
    logger.error({ event: 'unhandled_rejection', error: stackOf(error) });
    report(error);
  });
  process.on('uncaughtException', (error) => {
    logger.error({ event: 'uncaught_exception', error: stackOf(error) });
    report(error);
    if (!('syscall' in error)) void endAfterReport();
  });
}

/** Before the process ends: what was reported is sent, or after two seconds given up. Never rejects. */
export async function flushReports(): Promise<void> {
  await sentry?.flush(FLUSH_MS).catch(() => false);
}

async function endAfterReport(): Promise<void> {
  await flushReports();
  process.exit(1);
}
