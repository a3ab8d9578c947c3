import { ConsoleLogger } from '@nestjs/common';
import type { Config } from './config/config.js';

/** Parts of Nest that tell about every class and route at each start. */
const TALKATIVE = ['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication'];

/** One line per event: JSON in production, for eyes otherwise. Success is silent. */
export class ServiceLogger extends ConsoleLogger {
  constructor({ nodeEnv }: Config) {
    const json = nodeEnv === 'production';
    super({ json, colors: !json && process.stdout.isTTY, compact: true });
  }

  override log(message: unknown, ...rest: unknown[]): void {
    // Nest appends the context as the last argument.
    if (!TALKATIVE.includes(String(rest.at(-1)))) super.log(message, ...rest);
  }
}
