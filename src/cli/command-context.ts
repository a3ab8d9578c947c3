import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConfigModule } from '../config/config.module.js';
import { HostSurveyModule } from '../containers/containers.module.js';

/** No database, no lock, no reconciler: what of the service may be there beside it. */
@Module({ imports: [ConfigModule, HostSurveyModule] })
class CommandModule {}

/** Run `work` with the container side of the service, not prepared and not listening. */
export async function withContainers<T>(work: (app: INestApplicationContext) => Promise<T>): Promise<T> {
  const app = await NestFactory.createApplicationContext(CommandModule, {
    logger: false,
    abortOnError: false,
  });
  try {
    return await work(app);
  } finally {
    await app.close();
  }
}
