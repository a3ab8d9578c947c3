import { ApiProperty, ApiSchema } from '@nestjs/swagger';

const NAMES = ['database', 'disk', 'engine', 'runtime', 'firewall'] as const;

@ApiSchema({ name: 'HealthCheck' })
export class HealthCheckDto {
  @ApiProperty({ enum: NAMES, example: 'engine' })
  name!: (typeof NAMES)[number];

  @ApiProperty({ example: true })
  ok!: boolean;

  /** How to mend it, where it is not ok. */
  @ApiProperty({ example: 'Docker 27.5.1 answers.' })
  message!: string;
}

@ApiSchema({ name: 'Health' })
export class HealthDto {
  /** `ok` when every check is. */
  @ApiProperty({ enum: ['ok', 'unhealthy'], example: 'ok' })
  status!: 'ok' | 'unhealthy';

  @ApiProperty({ type: [HealthCheckDto] })
  checks!: HealthCheckDto[];
}
