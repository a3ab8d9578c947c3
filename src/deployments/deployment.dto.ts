import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { ERRORS } from '../errors/error-codes.js';
import {
  ACCESS_KINDS,
  type Access,
  PROGRESS_CODES,
  type ReasonCode,
  SESSION_MODES,
  STATUSES,
  type SessionMode,
  type Status,
  TRANSPORT_TYPES,
  type TransportType,
} from './deployment.js';

const TIME = { type: 'string', format: 'date-time', example: '2026-01-31T12:00:00.000Z' } as const;
const TEXTS = { type: 'object', additionalProperties: { type: 'string' } } as const;

@ApiSchema({ name: 'StatusReason' })
export class StatusReasonDto {
  /** Stable; switch on this. Either what it is doing, or a code of the error registry. */
  @ApiProperty({ enum: [...PROGRESS_CODES, ...Object.keys(ERRORS)], example: 'ready' })
  code!: ReasonCode;

  /** For people; with the server's last stderr lines where it failed. */
  @ApiProperty({ example: 'The MCP server answers.' })
  message!: string;

  @ApiProperty(TIME)
  at!: string;
}

@ApiSchema({ name: 'DeploymentUrls' })
export class DeploymentUrlsDto {
  /** Streamable HTTP endpoint for MCP clients. */
  @ApiProperty({
    format: 'uri',
    example: 'http://127.0.0.1:3000/mcp-server/dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b/mcp',
  })
  mcp!: string;

  /** HTTP+SSE endpoint, for clients of the first revision. */
  @ApiProperty({
    format: 'uri',
    example: 'http://127.0.0.1:3000/mcp-server/dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b/sse',
  })
  sse!: string;

  /** WebSocket endpoint, subprotocol `mcp`. */
  @ApiProperty({
    format: 'uri',
    example: 'ws://127.0.0.1:3000/mcp-server/dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b/ws',
  })
  ws!: string;
}

@ApiSchema({ name: 'DeploymentTransport' })
export class DeploymentTransportDto {
  /** How the server speaks MCP; clients choose freely among `urls`. */
  @ApiProperty({ enum: TRANSPORT_TYPES, example: 'stdio' })
  type!: TransportType;

  /** Where a server that speaks HTTP listens inside its sandbox; null for `stdio`. */
  @ApiProperty({ type: 'string', nullable: true, example: null })
  endpoint!: string | null;
}

@ApiSchema({ name: 'SandboxUser' })
export class SandboxUserDto {
  /** System account; null where there is only the number. */
  @ApiProperty({ type: 'string', nullable: true, example: 'mcp-200000' })
  name!: string | null;

  @ApiProperty({ type: 'integer', example: 200_000 })
  uid!: number;

  @ApiProperty({ type: 'integer', example: 200_000 })
  gid!: number;
}

@ApiSchema({ name: 'SandboxNetwork' })
export class SandboxNetworkDto {
  /** Null while there is none. */
  @ApiProperty({ type: 'string', nullable: true, example: 'mcp-runner-5f0c3a52' })
  name!: string | null;

  @ApiProperty({ example: '10.213.0.8/29' })
  subnet!: string;
}

@ApiSchema({ name: 'Sandbox' })
export class SandboxDto {
  /** OCI runtime; anything but `runsc` isolates less. */
  @ApiProperty({ example: 'runsc' })
  runtime!: string;

  /** Null while there is none. */
  @ApiProperty({ type: 'string', nullable: true, example: null })
  containerId!: string | null;
}

/** An MCP server in its own sandbox. */
@ApiSchema({ name: 'Deployment' })
export class DeploymentDto {
  @ApiProperty({ example: 'dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b', pattern: '^dp_[0-9a-f]{32}$' })
  id!: string;

  @ApiProperty({ type: 'string', nullable: true, example: null })
  name!: string | null;

  @ApiProperty({ enum: STATUSES, example: 'running' })
  status!: Status;

  /** Why it has this status. */
  @ApiProperty({ type: StatusReasonDto })
  statusReason!: StatusReasonDto;

  @ApiProperty({ type: DeploymentUrlsDto })
  urls!: DeploymentUrlsDto;

  @ApiProperty({ example: 'mcp/sequentialthinking:latest' })
  image!: string;

  /** Null: the image's CMD. */
  @ApiProperty({ type: 'array', items: { type: 'string' }, nullable: true, example: null })
  args!: string[] | null;

  /** Names of the environment variables; their values are never shown. */
  @ApiProperty({ type: [String], example: ['LOG_LEVEL'] })
  envNames!: string[];

  @ApiProperty({ type: DeploymentTransportDto })
  transport!: DeploymentTransportDto;

  /** Megabytes. */
  @ApiProperty({ type: 'integer', example: 512 })
  maxMemory!: number;

  @ApiProperty({ example: 1 })
  maxCpus!: number;

  @ApiProperty({ type: 'integer', example: 256 })
  maxPids!: number;

  /** Megabytes. */
  @ApiProperty({ type: 'integer', example: 1024 })
  maxDisk!: number;

  /** Idle seconds until it is paused; null: never. */
  @ApiProperty({ type: 'integer', nullable: true, example: 900 })
  pauseAfterSeconds!: number | null;

  /** Idle seconds until it is deleted; null: never. */
  @ApiProperty({ type: 'integer', nullable: true, example: 3600 })
  deleteAfterSeconds!: number | null;

  @ApiProperty({ ...TEXTS, example: { team: 'search' } })
  metadata!: Record<string, string>;

  @ApiProperty({ enum: SESSION_MODES, example: 'isolated' })
  sessionMode!: SessionMode;

  @ApiProperty({ type: 'integer', example: 16 })
  maxSessions!: number;

  /** Idle seconds until a session's server process is ended; the session goes on with its next request. */
  @ApiProperty({ type: 'integer', example: 600 })
  sessionIdleSeconds!: number;

  /** Means nothing for a server that speaks HTTP: it is one process. */
  @ApiProperty({ type: 'integer', example: 1 })
  warmProcesses!: number;

  @ApiProperty({ type: 'integer', example: 60 })
  startTimeoutSeconds!: number;

  @ApiProperty({ enum: ACCESS_KINDS, example: 'token' })
  access!: Access;

  /** The Linux user that the server's processes are. */
  @ApiProperty({ type: SandboxUserDto })
  user!: SandboxUserDto;

  @ApiProperty({ type: SandboxNetworkDto })
  network!: SandboxNetworkDto;

  @ApiProperty({ type: SandboxDto })
  sandbox!: SandboxDto;

  @ApiProperty(TIME)
  createdAt!: string;

  /** When a message last passed; written every few seconds. */
  @ApiProperty(TIME)
  lastActivityAt!: string;

  /** When it is paused unless a message passes before; null: never, or it does not run. */
  @ApiProperty({ ...TIME, nullable: true })
  pauseAt!: string | null;

  /** When it is deleted unless a message passes before; null: never. */
  @ApiProperty({ ...TIME, nullable: true })
  deleteAt!: string | null;
}

@ApiSchema({ name: 'CreatedDeployment' })
export class CreatedDeploymentDto extends DeploymentDto {
  /** Opens this deployment in the gateway and nothing else. Shown in this answer only. */
  @ApiProperty({ example: 'mcpt_mXv0f3m1kq0b6r2n9s8t7u6v5w4x3y2z1a0b9c8d7e6' })
  accessToken!: string;
}

@ApiSchema({ name: 'DeploymentPage' })
export class DeploymentPageDto {
  @ApiProperty({ type: [DeploymentDto] })
  items!: DeploymentDto[];

  /** For the next page; null on the last one. */
  @ApiProperty({ type: 'string', nullable: true, example: null })
  nextCursor!: string | null;
}
