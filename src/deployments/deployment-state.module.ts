import { Module } from '@nestjs/common';
import { Activity } from './activity.js';
import { Capacity } from './capacity.js';
import { CrashLoops } from './crash-loops.js';
import { DeploymentCountsRepository } from './deployment-counts.repository.js';
import { DeploymentEvents } from './deployment-events.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import { DeploymentWaits } from './deployment-waits.js';
import { DeploymentsRepository } from './deployments.repository.js';
import { IdleClockRepository } from './idle-clock.repository.js';
import { SessionCensus } from './session-census.js';
import { WakeTimes } from './wake-times.js';
import { StartWatch } from './start-watch.js';

const STATE = [
  DeploymentsRepository,
  DeploymentCountsRepository,
  IdleClockRepository,
  DeploymentLifecycle,
  DeploymentEvents,
  DeploymentWaits,
  Activity,
  Capacity,
  CrashLoops,
  SessionCensus,
  WakeTimes,
  StartWatch,
];

/** What is known of deployments; no engine and no server in it. */
@Module({ providers: STATE, exports: STATE })
export class DeploymentStateModule {}
