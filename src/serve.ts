import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { setUpApp } from './app.setup.js';
import { ConfigError } from './config/env-reader.js';
import { loadConfig } from './config/load-config.js';
import { StartRefusal } from './database/start-refusal.js';
import { AppError } from './errors/app-error.js';
import { flushReports, guardProcess, report, startSentry } from './instrument.js';
import { ServiceLogger } from './logging/service-logger.js';

async function start(): Promise<void> {
  const config = loadConfig();
  await startSentry(config);
  guardProcess(new Logger('Process'));
  const app = await NestFactory.create<NestExpressApplication>(AppModule, {
    logger: new ServiceLogger(config, report),
    abortOnError: false,
    bodyParser: false,
    forceCloseConnections: true,
    routeConflictPolicy: { duplicate: 'error', shadow: 'error' },
  });
  setUpApp(app);
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  await app.listen(config.port, config.bindIp);
  new Logger('Http').log({ event: 'listening', url: await app.getUrl() });
}

function isMendable(error: unknown): boolean {
  return error instanceof ConfigError || error instanceof StartRefusal || error instanceof AppError;
}

/** What a person can mend is said in one line each; anything else with its stack. */
function explain(error: unknown): string {
  if (error instanceof ConfigError)
    return error.mistakes.map((mistake) => `Configuration: ${mistake}`).join('\n');
  if (error instanceof StartRefusal) return `Cannot start: ${error.message}`;
  if (error instanceof AppError) return `Cannot start: ${error.detail ?? error.title}`;
  return `Cannot start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

/** Runs the service; resolves when it listens, and ends the process where it cannot. */
export async function serve(): Promise<void> {
  try {
    await start();
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    if (!isMendable(error)) report(error);
    await flushReports();
    process.exit(1);
  }
}
