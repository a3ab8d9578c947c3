import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { METADATA_NAME } from './create-deployment.dto.js';
import type { DeploymentPatch } from './deployments.repository.js';
import { Amount, Optional, Removable, Text, TextMap, WholeNumber } from './field-rules.js';

/** What may change while a deployment lives. What is left out stays; null takes away what is optional. */
@ApiSchema({ name: 'UpdateDeployment' })
export class UpdateDeploymentDto {
  /** For people; null: none. */
  @Removable()
  @Text({ maxLength: 100, expected: 'printable text' })
  name?: string | null;

  /** Your own labels, in place of all there are. */
  @Optional()
  @ApiProperty({ required: false, example: { team: 'search' } })
  @TextMap({ maxEntries: 64, pattern: METADATA_NAME, maxLength: 1024 })
  metadata?: Record<string, string>;

  /** Idle seconds until it is paused; null: never. */
  @Removable()
  @WholeNumber(30, 31_536_000, 'seconds')
  pauseAfterSeconds?: number | null;

  /** Idle seconds until it is deleted; null: never. */
  @Removable()
  @WholeNumber(30, 31_536_000, 'seconds')
  deleteAfterSeconds?: number | null;

  /** Idle seconds until a session's server process is ended. */
  @Optional()
  @WholeNumber(30, 86_400, 'seconds')
  sessionIdleSeconds?: number;

  /** Most sessions with a server process at once. */
  @Optional()
  @WholeNumber(1, 1000, 'sessions')
  maxSessions?: number;

  /** Server processes that are kept booted. */
  @Optional()
  @WholeNumber(0, 8, 'processes')
  warmProcesses?: number;

  /** How long the server may take to answer once its sandbox runs, and how long clients wait for the deployment. */
  @Optional()
  @WholeNumber(1, 600, 'seconds')
  startTimeoutSeconds?: number;

  /** Memory limit in megabytes. Under gVisor the limits of a running sandbox stay until its next start. */
  @Optional()
  @WholeNumber(64, 262_144, 'megabytes')
  maxMemory?: number;

  /** CPU limit; as with maxMemory. */
  @Optional()
  @Amount(0.1, 64, 'CPUs')
  maxCpus?: number;

  /** Most processes and threads at once; as with maxMemory. */
  @Optional()
  @WholeNumber(16, 32_768, 'processes')
  maxPids?: number;
}

/** The wire's names and units in the repository's. */
export function patchOf({ maxMemory, ...same }: UpdateDeploymentDto): DeploymentPatch {
  const changes = { ...same, ...(maxMemory !== undefined && { maxMemoryMb: maxMemory }) };
  // A field that the request did not have is no change.
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
}
