import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { Config } from '../../src/config/config.js';
import { Database } from '../../src/database/database.js';
import { Activity } from '../../src/deployments/activity.js';
import { DeploymentEvents, type StatusChange } from '../../src/deployments/deployment-events.js';
import { DeploymentLifecycle } from '../../src/deployments/deployment-lifecycle.js';
import { DeploymentStarter } from '../../src/deployments/deployment-starter.js';
import type { DeploymentRow } from '../../src/deployments/deployment.table.js';
import { DeploymentWaits } from '../../src/deployments/deployment-waits.js';
import { DeploymentsRepository, type NewDeployment } from '../../src/deployments/deployments.repository.js';
import { type DeploymentRequest, DeploymentsService } from '../../src/deployments/deployments.service.js';
import { OrphanCleaner } from '../../src/deployments/orphan-cleaner.js';
import { Reconciler } from '../../src/deployments/reconciler.js';
import { ServerProbe } from '../../src/deployments/server-probe.js';
import { DEFAULT_TENANT_ID } from '../../src/tenancy/principal.js';
import { TenantsRepository } from '../../src/tenancy/tenants.repository.js';
import { ScriptedRuntime } from './scripted-runtime.js';

export class ScriptedProbe extends ServerProbe {
  answer: (deployment: DeploymentRow, signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  override probe(deployment: DeploymentRow, signal: AbortSignal): Promise<void> {
    return this.answer(deployment, signal);
  }
}

export const REQUEST: DeploymentRequest = {
  name: null,
  image: 'mcp/echo:1',
  args: null,
  env: {},
  transport: 'stdio',
  endpoint: null,
  maxMemoryMb: 512,
  maxCpus: 1,
  maxPids: 256,
  maxDiskMb: 1024,
  deleteAfterSeconds: null,
  metadata: {},
  sessionMode: 'isolated',
  maxSessions: 16,
  warmProcesses: 1,
  startTimeoutSeconds: 60,
  access: 'token',
};

// What the log says belongs to no promise tested with this; failures show in what is asserted.
Logger.overrideLogger(false);

let ids = 0;

export function newDeployment(changes: Partial<NewDeployment> = {}): NewDeployment {
  ids += 1;
  return { ...REQUEST, id: `dp_${String(ids).padStart(32, '0')}`, accessTokenHash: '00', ...changes };
}

/** The deployments feature on a real SQLite file, with a scripted engine below it and a scripted server in it. */
export class DeploymentsFixture {
  readonly runtime: ScriptedRuntime;
  readonly probe = new ScriptedProbe();
  readonly database: Database;
  readonly repository: DeploymentsRepository;
  readonly events = new DeploymentEvents();
  readonly changes: StatusChange[] = [];
  readonly lifecycle: DeploymentLifecycle;
  readonly waits: DeploymentWaits;
  readonly reconciler: Reconciler;
  readonly service: DeploymentsService;
  readonly activity: Activity;
  readonly config: Config;

  constructor(options: { config?: Partial<Config>; runtime?: ScriptedRuntime } = {}) {
    this.config = Object.assign(new Config(), {
      dataDir: mkdtempSync(join(tmpdir(), 'mcp-runner-unit-')),
      ...options.config,
    });
    this.runtime = options.runtime ?? new ScriptedRuntime();
    this.database = new Database(this.config);
    new TenantsRepository(this.database).ensure(DEFAULT_TENANT_ID, 0);
    new TenantsRepository(this.database).ensure('tn_other', 0);
    this.repository = new DeploymentsRepository(this.database, this.config);
    this.lifecycle = new DeploymentLifecycle(this.repository, this.events);
    const starter = new DeploymentStarter(this.repository, this.lifecycle, this.runtime, this.probe);
    const orphans = new OrphanCleaner(this.repository, this.runtime);
    this.reconciler = new Reconciler(this.repository, this.lifecycle, starter, orphans, this.runtime);
    this.waits = new DeploymentWaits(this.repository, this.events);
    this.service = new DeploymentsService(this.repository, this.lifecycle, this.reconciler, this.waits);
    this.activity = new Activity(this.repository);
    this.events.onStatus((change) => this.changes.push(change));
  }

  create(changes: Partial<DeploymentRequest> = {}): DeploymentRow {
    return this.service.create(DEFAULT_TENANT_ID, { ...REQUEST, ...changes }, Date.now()).row;
  }

  async running(changes: Partial<DeploymentRequest> = {}): Promise<DeploymentRow> {
    return this.waits.untilSettled(this.create(changes).id, 5000);
  }

  get(id: string): DeploymentRow {
    return this.service.get(DEFAULT_TENANT_ID, id);
  }

  /** As a service does that ends in order. */
  async shutDown(): Promise<void> {
    this.waits.beforeApplicationShutdown();
    await this.reconciler.beforeApplicationShutdown();
    this.database.onApplicationShutdown();
  }

  /** The same data directory and engine under a new control plane. */
  async restart(): Promise<DeploymentsFixture> {
    await this.shutDown();
    const next = new DeploymentsFixture({ config: this.config, runtime: this.runtime });
    await next.reconciler.onApplicationBootstrap();
    return next;
  }

  async dispose(): Promise<void> {
    await this.shutDown();
    rmSync(this.config.dataDir, { recursive: true });
  }
}
