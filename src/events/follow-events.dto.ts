import { ApiPropertyOptional } from '@nestjs/swagger';
import { Matches, ValidateIf } from 'class-validator';

const DEPLOYMENT_ID = /^dp_\w{1,64}$/;

export class FollowEventsDto {
  /** Only events of this deployment. */
  @ApiPropertyOptional({
    pattern: DEPLOYMENT_ID.source,
    example: 'dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b',
  })
  @ValidateIf((_query, value) => value !== undefined)
  @Matches(DEPLOYMENT_ID, { message: 'must be the id of a deployment, dp_…' })
  deployment?: string;
}
