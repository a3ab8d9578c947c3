import { Module } from '@nestjs/common';
import { DeploymentStateModule } from '../deployments/deployment-state.module.js';
import { Reaper } from './reaper.js';

@Module({ imports: [DeploymentStateModule], providers: [Reaper] })
export class ReaperModule {}
