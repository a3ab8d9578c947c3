import { Module } from '@nestjs/common';
import { Activity } from './activity.js';
import { DeploymentEvents } from './deployment-events.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import { DeploymentStarter } from './deployment-starter.js';
import { DeploymentWaits } from './deployment-waits.js';
import { DeploymentView } from './deployment.view.js';
import { DeploymentsController } from './deployments.controller.js';
import { DeploymentsRepository } from './deployments.repository.js';
import { DeploymentsService } from './deployments.service.js';
import { OrphanCleaner } from './orphan-cleaner.js';
import { Reconciler } from './reconciler.js';

@Module({
  controllers: [DeploymentsController],
  providers: [
    DeploymentsService,
    DeploymentView,
    DeploymentsRepository,
    DeploymentLifecycle,
    DeploymentStarter,
    DeploymentEvents,
    DeploymentWaits,
    OrphanCleaner,
    Reconciler,
    Activity,
  ],
  exports: [
    DeploymentsRepository,
    DeploymentLifecycle,
    DeploymentEvents,
    DeploymentWaits,
    Reconciler,
    Activity,
  ],
})
export class DeploymentsModule {}
