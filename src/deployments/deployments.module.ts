import { Module } from '@nestjs/common';
import { DeploymentLogs } from './deployment-logs.js';
import { DeploymentLogsController } from './deployment-logs.controller.js';
import { DeploymentSessions } from './deployment-sessions.js';
import { DeploymentSessionsController } from './deployment-sessions.controller.js';
import { DeploymentStarter } from './deployment-starter.js';
import { DeploymentStateModule } from './deployment-state.module.js';
import { DeploymentStats } from './deployment-stats.js';
import { DeploymentStatsController } from './deployment-stats.controller.js';
import { DeploymentView } from './deployment.view.js';
import { DeploymentsController } from './deployments.controller.js';
import { DeploymentsService } from './deployments.service.js';
import { OrphanCleaner } from './orphan-cleaner.js';
import { Reconciler } from './reconciler.js';

@Module({
  imports: [DeploymentStateModule],
  controllers: [
    DeploymentsController,
    DeploymentLogsController,
    DeploymentSessionsController,
    DeploymentStatsController,
  ],
  providers: [
    DeploymentsService,
    DeploymentLogs,
    DeploymentSessions,
    DeploymentStats,
    DeploymentView,
    DeploymentStarter,
    OrphanCleaner,
    Reconciler,
  ],
  exports: [DeploymentStateModule, DeploymentsService, Reconciler],
})
export class DeploymentsModule {}
