import { Module } from '@nestjs/common';
import { DeploymentsModule } from '../deployments/deployments.module.js';
import { GatewayModule } from '../gateway/gateway.module.js';
import { Tracing } from './tracing.js';

/** Above all features: they tell what begins and ends, and do not know who follows it. */
@Module({ imports: [DeploymentsModule, GatewayModule], providers: [Tracing] })
export class TracingModule {}
