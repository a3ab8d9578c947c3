import { ApiProperty, ApiSchema } from '@nestjs/swagger';

/** A client's session. */
@ApiSchema({ name: 'Session' })
class SessionDto {
  /** A handle that opens nothing, the same as in the log. */
  @ApiProperty({ example: 's_1f0c3a52b1f9' })
  id!: string;

  /** Answers that its client waits for. */
  @ApiProperty({ type: 'integer', minimum: 0, example: 1 })
  callsInFlight!: number;

  /** A connection of its client is open, on which it listens. */
  @ApiProperty({ example: true })
  isConnected!: boolean;

  /** It has a server process, or a part in one; if not, its next request brings one. */
  @ApiProperty({ example: true })
  hasProcess!: boolean;

  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  lastUsedAt!: string;
}

@ApiSchema({ name: 'SessionList' })
export class SessionListDto {
  /** Those that were used since the service started and are not over. */
  @ApiProperty({ type: [SessionDto] })
  items!: SessionDto[];
}
