import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { Config } from '../../src/config/config.js';
import { Database } from '../../src/database/database.js';
import { Activity } from '../../src/deployments/activity.js';
import { Capacity } from '../../src/deployments/capacity.js';
import { CrashLoops } from '../../src/deployments/crash-loops.js';
import type { Status } from '../../src/deployments/deployment.js';
import { DeploymentEvents, type StatusChange } from '../../src/deployments/deployment-events.js';
import { DeploymentLifecycle } from '../../src/deployments/deployment-lifecycle.js';
import { DeploymentStarter } from '../../src/deployments/deployment-starter.js';
import type { DeploymentRow } from '../../src/deployments/deployment.table.js';
import { DeploymentWaits } from '../../src/deployments/deployment-waits.js';
import { DeploymentsRepository, type NewDeployment } from '../../src/deployments/deployments.repository.js';
import { type DeploymentRequest, DeploymentsService } from '../../src/deployments/deployments.service.js';
import { IdleClockRepository } from '../../src/deployments/idle-clock.repository.js';
import { OrphanCleaner } from '../../src/deployments/orphan-cleaner.js';
import { Reconciler } from '../../src/deployments/reconciler.js';
import { ServerProbe } from '../../src/deployments/server-probe.js';
import { StartWatch } from '../../src/deployments/start-watch.js';
import { EventLog } from '../../src/events/event-log.js';
import { LogStore } from '../../src/logs/log-store.js';
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
  pauseAfterSeconds: null,
  deleteAfterSeconds: null,
  sessionIdleSeconds: 600,
  metadata: {},
  sessionMode: 'isolated',
  maxSessions: 16,
  warmProcesses: 1,
  startTimeoutSeconds: 60,
  access: 'token',
  autoStart: true,
};

// What the log says belongs to no promise tested with this; failures show in what is asserted.
Logger.overrideLogger(false);

const WAYS: Record<Status, Status[]> = {
  pending: [],
  starting: ['starting'],
  running: ['starting', 'running'],
  pausing: ['pausing'],
  paused: ['pausing', 'paused'],
  failed: ['failed'],
  deleting: ['deleting'],
};

let ids = 0;

export function newDeployment(changes: Partial<NewDeployment> = {}): NewDeployment {
  ids += 1;
  const { autoStart: _, ...values } = REQUEST;
  return { ...values, id: `dp_${String(ids).padStart(32, '0')}`, accessTokenHash: '00', ...changes };
}

/** The deployments feature on a real SQLite file, with a scripted engine below it and a scripted server in it. */
export class DeploymentsFixture {
  readonly runtime: ScriptedRuntime;
  readonly probe = new ScriptedProbe();
  readonly database: Database;
  readonly repository: DeploymentsRepository;
  readonly events = new DeploymentEvents();
  readonly starts = new StartWatch(this.events);
  readonly log = new EventLog();
  readonly changes: StatusChange[] = [];
  readonly lifecycle: DeploymentLifecycle;
  readonly waits: DeploymentWaits;
  readonly reconciler: Reconciler;
  readonly service: DeploymentsService;
  readonly idleClock: IdleClockRepository;
  readonly activity: Activity;
  readonly crashes: CrashLoops;
  readonly capacity: Capacity;
  readonly config: Config;
  readonly logs: LogStore;

  constructor(options: { config?: Partial<Config>; runtime?: ScriptedRuntime } = {}) {
    this.config = Object.assign(new Config(), {
      dataDir: mkdtempSync(join(tmpdir(), 'mcp-runner-unit-')),
      ...options.config,
    });
    this.runtime = options.runtime ?? new ScriptedRuntime();
    this.logs = new LogStore(this.config);
    this.database = new Database(this.config);
    new TenantsRepository(this.database).ensure(DEFAULT_TENANT_ID, 0);
    new TenantsRepository(this.database).ensure('tn_other', 0);
    this.repository = new DeploymentsRepository(this.database, this.config);
    const { repository, events, runtime } = this;
    this.lifecycle = new DeploymentLifecycle(repository, events, this.log);
    const { lifecycle } = this;
    this.idleClock = new IdleClockRepository(this.database);
    this.activity = new Activity(this.idleClock);
    this.crashes = new CrashLoops(repository, lifecycle, events);
    const { crashes } = this;
    this.capacity = new Capacity(this.config, repository, this.idleClock, lifecycle, this.activity, events);
    const { capacity } = this;
    const starter = new DeploymentStarter(repository, lifecycle, runtime, this.probe, events, this.starts);
    const orphans = new OrphanCleaner(repository, runtime, this.logs);
    this.reconciler = new Reconciler(
      repository,
      lifecycle,
      starter,
      orphans,
      runtime,
      events,
      capacity,
      crashes,
      this.logs,
    );
    this.waits = new DeploymentWaits(repository, events);
    this.service = new DeploymentsService(
      repository,
      lifecycle,
      this.reconciler,
      this.waits,
      crashes,
      capacity,
      this.config,
    );
    this.events.onStatus((change) => this.changes.push(change));
  }

  create(changes: Partial<DeploymentRequest> = {}): DeploymentRow {
    return this.service.create(DEFAULT_TENANT_ID, { ...REQUEST, ...changes }, Date.now()).row;
  }

  async running(changes: Partial<DeploymentRequest> = {}): Promise<DeploymentRow> {
    return this.waits.untilSettled(this.create(changes).id, 5000);
  }

  /** A row that was brought to `status` by legal changes at `now`, and that the reconciler was not told of. */
  rowIn(status: Status, changes: Partial<NewDeployment> = {}, now = 0): DeploymentRow {
    const reason = { code: 'created', message: 'Waiting.' } as const;
    const { id } = this.repository.create(DEFAULT_TENANT_ID, newDeployment(changes), 'pending', reason, now);
    for (const step of WAYS[status]) this.repository.transition(id, step, reason, now);
    return this.get(id);
  }

  /** What the tenant's event log has, oldest first. */
  told(): { type: string; deploymentId: string; [field: string]: unknown }[] {
    const ring = this.log.ringOf(DEFAULT_TENANT_ID);
    return Array.from({ length: ring.newest }, (_, position) => {
      const data = /^data: (.*)$/m.exec(ring.after(position)?.text ?? '')?.[1] ?? '';
      return JSON.parse(data) as { type: string; deploymentId: string };
    });
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
