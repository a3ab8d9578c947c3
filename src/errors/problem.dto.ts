import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { ERRORS, type ErrorCode } from './error-codes.js';

@ApiSchema({ name: 'FieldError' })
export class FieldErrorDto {
  /** Path of the field in the request; empty for the request as a whole. */
  @ApiProperty({ example: 'maxMemory' })
  field!: string;

  /** What is wrong, and what is allowed. */
  @ApiProperty({ example: 'must be a whole number of megabytes from 64 to 262144' })
  message!: string;
}

/** RFC 9457 problem details. */
@ApiSchema({ name: 'Problem' })
export class ProblemDto {
  /** URI of the kind of problem. */
  @ApiProperty({ format: 'uri', example: 'urn:mcp-runner:error:deployment_not_found' })
  type!: string;

  /** The kind of problem in words. */
  @ApiProperty({ example: 'No such deployment' })
  title!: string;

  /** The HTTP status. */
  @ApiProperty({ type: 'integer', minimum: 400, maximum: 599, example: 404 })
  status!: number;

  /** What happened this time. */
  @ApiPropertyOptional({ example: 'The image mcp/ech0:latest does not exist or is private.' })
  detail?: string;

  /** Stable; switch on this. */
  @ApiProperty({ enum: Object.keys(ERRORS), example: 'deployment_not_found' })
  code!: ErrorCode;

  /** Path of the request. */
  @ApiPropertyOptional({ example: '/api/deployment/dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b' })
  instance?: string;

  /** Also in the answer's X-Request-Id header and in the log. */
  @ApiProperty({ example: '6a4e24ff-0d2f-4f0a-8a4c-0f5d4f4f6b0e' })
  requestId!: string;

  /** Only for `validation_failed`: one entry per field. */
  @ApiPropertyOptional({ type: [FieldErrorDto] })
  errors?: FieldErrorDto[];
}
