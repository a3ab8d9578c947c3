import { Global, Module } from '@nestjs/common';
import { LogStore } from './log-store.js';
import { LogStreams } from './log-streams.js';

/** Global: whoever starts server processes writes, and deployments take their logs with them. */
@Global()
@Module({ providers: [LogStore, LogStreams], exports: [LogStore, LogStreams] })
export class LogsModule {}
