import { ApiProperty } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { STATUSES, type Status } from './deployment.js';
import { Defaulted, OneOf, Optional, Text, WholeNumber } from './field-rules.js';
import { digits } from './query-values.js';

export class ListDeploymentsDto {
  /** Most items on a page. */
  @Defaulted()
  @Transform(digits)
  @WholeNumber(1, 100, 'items')
  limit = 50;

  /** `nextCursor` of the page before. */
  @Optional()
  @Text({ maxLength: 200, expected: 'the nextCursor of the page before' })
  cursor?: string;

  @Optional()
  @OneOf(STATUSES)
  status?: Status;

  /** Exactly this image reference. */
  @ApiProperty({ example: 'mcp/sequentialthinking:latest' })
  @Optional()
  @Text({ maxLength: 512, expected: 'an image reference' })
  image?: string;

  /** Exactly this name. */
  @ApiProperty({ example: 'thinking' })
  @Optional()
  @Text({ maxLength: 100, expected: 'printable text' })
  name?: string;
}

export class WaitQueryDto {
  /** Hold the answer until the deployment runs, is paused or has failed, at most so many seconds. */
  @Defaulted()
  @Transform(digits)
  @WholeNumber(0, 120, 'seconds')
  wait = 0;
}
