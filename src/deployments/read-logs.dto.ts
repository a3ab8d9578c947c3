import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean } from 'class-validator';
import { LOG_STREAMS, type LogLine, type LogStream } from '../logs/log-line.js';
import { Consistent, Defaulted, Optional, WholeNumber } from './field-rules.js';
import { SINCE_RULE, timeOf } from './log-time.js';
import { digits, truth } from './query-values.js';

export class ReadLogsDto {
  /** Most lines, the newest. With `follow`, those that come first. */
  @Defaulted()
  @Transform(digits)
  @WholeNumber(0, 10_000, 'lines')
  tail = 100;

  /** Only lines from then on: an ISO 8601 time, or so many seconds before now. */
  @ApiProperty({ type: 'string', required: false, maxLength: 40, example: '600' })
  @Optional()
  @Consistent((since) => (timeOf(since, Date.now()) === undefined ? SINCE_RULE : undefined))
  since?: string;

  /** Only lines of the process with this number. */
  @Optional()
  @Transform(digits)
  @WholeNumber(1, 999_999_999, 'a process')
  process?: number;

  /** `true`: go on with what comes, as server-sent events. */
  @ApiProperty({ type: 'boolean', required: false })
  @Transform(truth)
  @IsBoolean({ message: 'must be true or false' })
  follow = false;
}

@ApiSchema({ name: 'LogLine' })
export class LogLineDto implements LogLine {
  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  at!: string;

  /** The server processes of a deployment are counted from 1; null: it is about none of them. */
  @ApiProperty({ type: 'integer', nullable: true, minimum: 1, example: 3 })
  process!: number | null;

  /** The session that the process serves; null: none yet, or many. It is no secret, and opens nothing. */
  @ApiProperty({ type: 'string', nullable: true, example: 's_1f0c3a52b1f9' })
  session!: string | null;

  /** `stdout`: what the server wrote there that is no message. `system`: what happened to the process. */
  @ApiProperty({ enum: LOG_STREAMS, example: 'stderr' })
  stream!: LogStream;

  @ApiProperty({ example: 'listening' })
  text!: string;
}

@ApiSchema({ name: 'LogPage' })
export class LogPageDto {
  /** Oldest first. */
  @ApiProperty({ type: [LogLineDto] })
  items!: LogLineDto[];

  /** True: older lines are there that were asked for; raise `tail`. */
  @ApiProperty({ example: false })
  hasOlder!: boolean;
}
