import { Module } from '@nestjs/common';
import { DeploymentsModule } from '../deployments/deployments.module.js';
import { Reaper } from './reaper.js';

@Module({ imports: [DeploymentsModule], providers: [Reaper] })
export class ReaperModule {}
