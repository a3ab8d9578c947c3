import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { TenantEvent } from './tenant-event.js';

// What stands in the `data:` lines of the stream.

/** A reason may quote pages of a server's stderr; whoever wants all of it gets the deployment. */
const LONGEST_MESSAGE = 2000;

abstract class HappenedDto {
  /** ISO 8601. */
  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  at!: string;
}

abstract class DeploymentHappenedDto extends HappenedDto {
  @ApiProperty({ example: 'dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b' })
  deploymentId!: string;

  /** Why; switch on this. */
  @ApiProperty({ example: 'server_exited' })
  code!: string;

  /** One sentence a person can act on; shortened where it is very long. */
  @ApiProperty({ maxLength: LONGEST_MESSAGE, example: 'The MCP server exited with code 1.' })
  message!: string;
}

/** A deployment changed its status. */
@ApiSchema({ name: 'StatusEvent' })
export class StatusEventDto extends DeploymentHappenedDto {
  @ApiProperty({ enum: ['status'], example: 'status' })
  type!: 'status';

  /** Its status before. */
  @ApiProperty({ example: 'starting' })
  from!: string;

  /** Its status now; `deleted` when nothing of it is left. */
  @ApiProperty({ example: 'failed' })
  to!: string;
}

/** A server process of a deployment ended by itself. */
@ApiSchema({ name: 'CrashEvent' })
export class CrashEventDto extends DeploymentHappenedDto {
  @ApiProperty({ enum: ['crash'], example: 'crash' })
  type!: 'crash';

  /** How often in a row. */
  @ApiProperty({ type: 'integer', minimum: 1, example: 3 })
  failures!: number;

  /** Seconds until the next process is started. */
  @ApiProperty({ minimum: 0, example: 4 })
  retryInSeconds!: number;
}

/** Events were missed and cannot be had any more. */
@ApiSchema({ name: 'ResetEvent' })
export class ResetEventDto extends HappenedDto {
  @ApiProperty({ enum: ['reset'], example: 'reset' })
  type!: 'reset';

  /** What to do. */
  @ApiProperty({ example: 'Events were missed. List the deployments again.' })
  message!: string;
}

export function dtoOf(event: TenantEvent): StatusEventDto | CrashEventDto {
  const { deploymentId } = event;
  const at = new Date(event.at).toISOString();
  const message = shortened(event.data.message);
  return event.type === 'status'
    ? { type: event.type, deploymentId, at, ...event.data, message }
    : { type: event.type, deploymentId, at, ...event.data, message };
}

/** Never with half a character at its end. */
function shortened(message: string): string {
  if (message.length <= LONGEST_MESSAGE) return message;
  return `${message.slice(0, LONGEST_MESSAGE - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
