import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { setUpApp } from './app.setup.js';
import { ConfigError } from './config/env-reader.js';
import { loadConfig } from './config/load-config.js';
import { AppError } from './errors/app-error.js';
import { guardProcess, startSentry } from './instrument.js';
import { ServiceLogger } from './service-logger.js';

async function main(): Promise<void> {
  const config = loadConfig();
  await startSentry(config);
  guardProcess(new Logger('Process'));
  const app = await NestFactory.create<NestExpressApplication>(AppModule, {
    logger: new ServiceLogger(config),
    abortOnError: false,
    bodyParser: false,
    forceCloseConnections: true,
    return503OnClosing: true,
    routeConflictPolicy: { duplicate: 'error', shadow: 'error' },
  });
  setUpApp(app);
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  await app.listen(config.port, config.bindIp);
  new Logger('Http').log({ event: 'listening', url: await app.getUrl() });
}

/** What a person can mend is said in one line each; anything else with its stack. */
function explain(error: unknown): string {
  if (error instanceof ConfigError)
    return error.mistakes.map((mistake) => `Configuration: ${mistake}`).join('\n');
  if (error instanceof AppError) return `Cannot start: ${error.detail ?? error.title}`;
  return `Cannot start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}
