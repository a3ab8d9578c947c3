import type { Logger } from '@nestjs/common';
import type { ErrorEvent } from '@sentry/node';
import type { Config } from './config/config.js';
import { stackOf } from './errors/stack-of.js';

const FLUSH_MS = 2000;

/** Loaded only where it is wanted: it takes 25 MB. */
let sentry: typeof import('@sentry/node') | undefined;

/** Report errors of ours to Sentry, if the operator wants that. Errors only: no traces, no requests, no breadcrumbs. */
export async function startSentry(config: Config): Promise<void> {
  if (config.sentryDsn === undefined) return;
  sentry = await import('@sentry/node');
  sentry.init({
    dsn: config.sentryDsn,
    environment: config.nodeEnv,
    sendDefaultPii: false,
    // The default ones read requests, the environment and local variables, and decide when the process ends.
    defaultIntegrations: false,
    beforeBreadcrumb: () => null,
    beforeSend: reportable,
  });
}

/** Tell the operator's Sentry, if there is one. The tags are part of what leaves the machine. */
export function report(error: unknown, tags: { requestId?: string; code?: string } = {}): void {
  sentry?.captureException(error, { tags });
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

async function endAfterReport(): Promise<void> {
  await sentry?.flush(FLUSH_MS).catch(() => false);
  process.exit(1);
}

/**
 * Only what is listed here leaves the machine. Everything a tenant sent (image, args, env, headers, bodies) and every
 * message that could quote it stays; the request id leads to the whole story in the log.
 */
export function reportable(event: ErrorEvent): ErrorEvent {
  const values = (event.exception?.values ?? []).map(({ type, stacktrace }) => ({
    ...(type !== undefined && { type }),
    stacktrace: {
      frames: (stacktrace?.frames ?? []).map((frame) => ({
        ...(frame.filename !== undefined && { filename: frame.filename }),
        ...(frame.function !== undefined && { function: frame.function }),
        ...(frame.lineno !== undefined && { lineno: frame.lineno }),
        ...(frame.colno !== undefined && { colno: frame.colno }),
      })),
    },
  }));
  const { requestId, code } = event.tags ?? {};
  return {
    type: undefined,
    ...(event.event_id !== undefined && { event_id: event.event_id }),
    ...(event.timestamp !== undefined && { timestamp: event.timestamp }),
    ...(event.environment !== undefined && { environment: event.environment }),
    level: 'error',
    platform: 'node',
    tags: { requestId, code },
    exception: { values },
  };
}
