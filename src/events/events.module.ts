import { Global, Module } from '@nestjs/common';
import { EventLog } from './event-log.js';
import { EventStreams } from './event-streams.js';
import { EventsController } from './events.controller.js';

/** Global: every feature in which something happens tells the log. */
@Global()
@Module({ controllers: [EventsController], providers: [EventLog, EventStreams], exports: [EventLog] })
export class EventsModule {}
