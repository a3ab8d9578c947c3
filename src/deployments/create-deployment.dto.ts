import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsBoolean, IsObject, ValidateNested } from 'class-validator';
import {
  ACCESS_KINDS,
  type Access,
  SESSION_MODES,
  type SessionMode,
  TRANSPORT_TYPES,
  type TransportType,
} from './deployment.js';
import type { DeploymentRequest } from './deployments.service.js';
import { ENDPOINT, ENDPOINT_MAX_LENGTH, endpointComplaint, isHttpType } from './endpoint.js';
import {
  Amount,
  Consistent,
  Defaulted,
  OneOf,
  Optional,
  Text,
  TextList,
  TextMap,
  WholeNumber,
} from './field-rules.js';

const IMAGE =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
export const METADATA_NAME = /^[A-Za-z0-9][A-Za-z0-9_./-]{0,63}$/;
const TRANSPORT_MESSAGE = 'must be an object such as {"type": "stdio"}';
const SHARED_IS_STDIO =
  'must be "isolated" unless transport.type is "stdio": a server that speaks HTTP manages its sessions itself';

@ApiSchema({ name: 'Transport' })
export class TransportDto {
  /**
   * How the server speaks MCP: `stdio` for a process per session, `streamable_http` or `sse` for one that listens on a
   * port by itself. Clients may use any transport with any of them.
   */
  @OneOf(TRANSPORT_TYPES)
  type!: TransportType;

  /**
   * Where a server that speaks HTTP listens: `http://localhost:PORT/path`. Required for `streamable_http` and `sse`, not
   * allowed for `stdio`. The host must be `localhost`, `127.0.0.1` or `[::1]`, because only port (default 80), path and
   * query count; the server itself has to listen on all interfaces (0.0.0.0).
   */
  @ApiProperty({
    type: 'string',
    required: false,
    maxLength: ENDPOINT_MAX_LENGTH,
    pattern: ENDPOINT.source,
    example: 'http://localhost:3000/mcp',
  })
  @Consistent((value, transport) => endpointComplaint(value, (transport as TransportDto).type))
  endpoint?: string;
}

@ApiSchema({ name: 'CreateDeployment' })
export class CreateDeploymentDto {
  /** Image reference. It is pulled when the machine does not have it. */
  @ApiProperty({ example: 'mcp/sequentialthinking:latest' })
  @Text({ maxLength: 512, pattern: IMAGE, expected: 'an image reference such as mcp/fetch:latest' })
  image!: string;

  @ApiProperty({ type: TransportDto })
  @IsObject({ message: TRANSPORT_MESSAGE })
  @ValidateNested({ message: TRANSPORT_MESSAGE })
  @Type(() => TransportDto)
  transport!: TransportDto;

  /** For people; need not be unique. */
  @ApiProperty({ example: 'thinking' })
  @Optional()
  @Text({ maxLength: 100, expected: 'printable text' })
  name?: string;

  /** Arguments in place of the image's CMD. Absent: the CMD stays. */
  @ApiProperty({ example: ['--verbose'] })
  @Optional()
  @TextList({ maxItems: 256, maxLength: 32_768 })
  args?: string[];

  /** Environment of the server. Values are never shown again, only the names. HOME and PATH may be replaced. */
  @Defaulted()
  @ApiProperty({ example: { LOG_LEVEL: 'info' } })
  @TextMap({ maxEntries: 256, pattern: ENV_NAME, maxLength: 32_768, secret: true })
  env: Record<string, string> = {};

  /** Memory limit in megabytes, swap included. */
  @Defaulted()
  @WholeNumber(64, 262_144, 'megabytes')
  maxMemory = 512;

  /** CPU limit; fractions are fine. */
  @Defaulted()
  @Amount(0.1, 64, 'CPUs')
  maxCpus = 1;

  /** Most processes and threads at once. */
  @Defaulted()
  @WholeNumber(16, 32_768, 'processes')
  maxPids = 256;

  /** Limit of everything the server writes, in megabytes. */
  @Defaulted()
  @WholeNumber(16, 1_048_576, 'megabytes')
  maxDisk = 1024;

  /** Pause it after so many seconds without a message: its memory is freed, and the next request wakes it. Absent: never. */
  @Optional()
  @WholeNumber(30, 31_536_000, 'seconds')
  pauseAfterSeconds?: number;

  /** Delete it, with all it has stored, after so many seconds without a message. Absent: never. */
  @Optional()
  @WholeNumber(30, 31_536_000, 'seconds')
  deleteAfterSeconds?: number;

  /** Your own labels. */
  @Defaulted()
  @ApiProperty({ example: { team: 'search' } })
  @TextMap({ maxEntries: 64, pattern: METADATA_NAME, maxLength: 1024 })
  metadata: Record<string, string> = {};

  /**
   * `isolated`: every session has a server process of its own. `shared`: one process serves all sessions; for `stdio`
   * only, since a server that speaks HTTP manages its sessions itself.
   */
  @Defaulted()
  @OneOf(SESSION_MODES)
  @Consistent((value, request) =>
    value === 'shared' && isHttpType((request as Partial<CreateDeploymentDto>).transport?.type)
      ? SHARED_IS_STDIO
      : undefined,
  )
  sessionMode: SessionMode = 'isolated';

  /** Most sessions at once. */
  @Defaulted()
  @WholeNumber(1, 1000, 'sessions')
  maxSessions = 16;

  /**
   * End a session's server process after so many seconds without a message. The session goes on: its next request starts
   * another process, to which the session is introduced again.
   */
  @Defaulted()
  @WholeNumber(30, 86_400, 'seconds')
  sessionIdleSeconds = 600;

  /**
   * Server processes that are kept booted, so that opening a session is instant. Means nothing for servers that speak HTTP:
   * they are one process, which runs as long as the deployment does.
   */
  @Defaulted()
  @WholeNumber(0, 8, 'processes')
  warmProcesses = 1;

  /** How long the server may take to answer once its sandbox runs, and how long clients wait for the deployment. */
  @Defaulted()
  @WholeNumber(1, 600, 'seconds')
  startTimeoutSeconds = 60;

  /** Who may connect: `token` needs a key of yours or the deployment's own token; `public` only the URL. */
  @Defaulted()
  @OneOf(ACCESS_KINDS)
  access: Access = 'token';

  /** False: it is not started now, but by its first request. */
  @Defaulted()
  @IsBoolean({ message: 'must be true or false' })
  autoStart = true;
}

/** The wire's names and units in the service's. */
export function requestOf(body: CreateDeploymentDto): DeploymentRequest {
  const { maxMemory, maxDisk, transport, name, args, deleteAfterSeconds } = body;
  const { image, env, maxCpus, maxPids, metadata, sessionMode, maxSessions, warmProcesses } = body;
  const { autoStart, pauseAfterSeconds, sessionIdleSeconds } = body;
  return {
    image,
    env,
    maxCpus,
    maxPids,
    metadata,
    sessionMode,
    maxSessions,
    warmProcesses,
    startTimeoutSeconds: body.startTimeoutSeconds,
    access: body.access,
    transport: transport.type,
    endpoint: transport.endpoint ?? null,
    name: name ?? null,
    args: args ?? null,
    autoStart,
    sessionIdleSeconds,
    pauseAfterSeconds: pauseAfterSeconds ?? null,
    deleteAfterSeconds: deleteAfterSeconds ?? null,
    maxMemoryMb: maxMemory,
    maxDiskMb: maxDisk,
  };
}
