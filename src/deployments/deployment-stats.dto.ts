import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { ERRORS, type ErrorCode } from '../errors/error-codes.js';
import { STATUSES, type Status } from './deployment.js';

const TIME = { type: 'string', format: 'date-time', example: '2026-01-31T12:00:00.000Z' } as const;
const COUNT = { type: 'integer', minimum: 0, nullable: true } as const;
const AWAKE_REASONS = ['call_in_flight', 'never_pauses', 'recently_used', 'about_to_pause'] as const;
const MISSING = ['sandbox', 'disk'] as const;

@ApiSchema({ name: 'MemoryStats' })
class MemoryStatsDto {
  /** Of the whole sandbox, gVisor's kernel and temporary folders included. */
  @ApiProperty({ ...COUNT, example: 61_865_984 })
  usedBytes!: number | null;

  @ApiProperty({ type: 'integer', example: 536_870_912 })
  limitBytes!: number;
}

@ApiSchema({ name: 'CpuStats' })
class CpuStatsDto {
  /** Seconds of CPU time since the sandbox was started. */
  @ApiProperty({ type: 'number', nullable: true, minimum: 0, example: 2.41 })
  usedSeconds!: number | null;

  /** Of one CPU, over the last `windowMs`: 150 is one and a half CPUs. */
  @ApiProperty({ type: 'number', nullable: true, minimum: 0, example: 3.2 })
  percent!: number | null;

  @ApiProperty({ type: 'number', nullable: true, minimum: 0, example: 256 })
  windowMs!: number | null;

  /** CPUs. */
  @ApiProperty({ example: 1 })
  limit!: number;
}

@ApiSchema({ name: 'PidStats' })
class PidStatsDto {
  /** Processes and threads that the host counts for the sandbox: mostly those of gVisor's kernel. */
  @ApiProperty({ ...COUNT, example: 39 })
  used!: number | null;

  /** `maxPids`, and what gVisor's kernel needs for itself; null while there is no sandbox. */
  @ApiProperty({ ...COUNT, example: 384 })
  limit!: number | null;
}

@ApiSchema({ name: 'NetworkStats' })
class NetworkStatsDto {
  /** Since the sandbox was started, calls to a server that speaks HTTP included. */
  @ApiProperty({ ...COUNT, example: 1608 })
  receivedBytes!: number | null;

  @ApiProperty({ ...COUNT, example: 455 })
  sentBytes!: number | null;
}

@ApiSchema({ name: 'DiskStats' })
class DiskStatsDto {
  /** What is in its home directory, also while it is paused; null before its first start. */
  @ApiProperty({ ...COUNT, example: 20_987_904 })
  usedBytes!: number | null;

  @ApiProperty({ type: 'integer', example: 1_073_741_824 })
  limitBytes!: number;
}

@ApiSchema({ name: 'SessionStats' })
class SessionStatsDto {
  /** Sessions with a server process, or about to have one. */
  @ApiProperty({ type: 'integer', minimum: 0, example: 2 })
  active!: number;

  @ApiProperty({ type: 'integer', example: 16 })
  limit!: number;
}

/** Why it is not paused. */
@ApiSchema({ name: 'Awake' })
export class AwakeDto {
  /** Null: it does not run. */
  @ApiProperty({ enum: [...AWAKE_REASONS, null], nullable: true, example: 'recently_used' })
  because!: (typeof AWAKE_REASONS)[number] | null;

  @ApiProperty({ example: 'It is paused unless a message passes before 2026-01-31T12:15:00.000Z.' })
  message!: string;

  /** When it is paused unless a message passes before, where that is known. */
  @ApiProperty({ ...TIME, nullable: true })
  until!: string | null;
}

/** Numbers that could not be had, and why. */
@ApiSchema({ name: 'MissingStats' })
export class MissingDto {
  /** `sandbox`: memory, cpu, pids and network; `disk`: the disk. */
  @ApiProperty({ enum: MISSING, example: 'sandbox' })
  what!: (typeof MISSING)[number];

  @ApiProperty({ enum: Object.keys(ERRORS), example: 'runtime_unavailable' })
  code!: ErrorCode;

  @ApiProperty({ example: 'The container engine did not answer within 3 s.' })
  message!: string;
}

/** What a deployment uses just now; null: it cannot be told, or there is no sandbox that could use anything. */
@ApiSchema({ name: 'Stats' })
export class StatsDto {
  @ApiProperty(TIME)
  at!: string;

  @ApiProperty({ enum: STATUSES, example: 'running' })
  status!: Status;

  @ApiProperty({ type: MemoryStatsDto })
  memory!: MemoryStatsDto;

  @ApiProperty({ type: CpuStatsDto })
  cpu!: CpuStatsDto;

  @ApiProperty({ type: PidStatsDto })
  pids!: PidStatsDto;

  @ApiProperty({ type: NetworkStatsDto })
  network!: NetworkStatsDto;

  @ApiProperty({ type: DiskStatsDto })
  disk!: DiskStatsDto;

  @ApiProperty({ type: SessionStatsDto })
  sessions!: SessionStatsDto;

  /** Answers that clients wait for. */
  @ApiProperty({ type: 'integer', minimum: 0, example: 0 })
  callsInFlight!: number;

  @ApiProperty(TIME)
  lastActivityAt!: string;

  /** How long it took to be there again when it was last woken; null: it was not, since the service started. */
  @ApiProperty({ type: 'integer', nullable: true, minimum: 0, example: 812 })
  lastWakeMs!: number | null;

  @ApiProperty({ type: AwakeDto })
  awake!: AwakeDto;

  @ApiProperty({ type: [MissingDto], example: [] })
  missing!: MissingDto[];
}
