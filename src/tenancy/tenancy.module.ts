import { Global, Module } from '@nestjs/common';
import { ApiKeyGuard } from './api-key.guard.js';
import { ApiKeys } from './api-keys.js';
import { TenantsRepository } from './tenants.repository.js';

/** Global: every feature with a route asks it who calls. */
@Global()
@Module({ providers: [TenantsRepository, ApiKeys, ApiKeyGuard], exports: [ApiKeys, ApiKeyGuard] })
export class TenancyModule {}
