import { ApiProperty } from '@nestjs/swagger';
import { Transform, type TransformFnParams } from 'class-transformer';
import { STATUSES, type Status } from './deployment.js';
import { Defaulted, OneOf, Optional, Text, WholeNumber } from './field-rules.js';

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

export class CreateDeploymentQueryDto {
  /** Hold the answer until the deployment runs or has failed, at most so many seconds. */
  @Defaulted()
  @Transform(digits)
  @WholeNumber(0, 120, 'seconds')
  wait = 0;
}

/** A query has only text; what is not all digits is left for the rule to refuse. */
function digits({ value }: TransformFnParams): unknown {
  return typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
}
