import { AppError } from '../../src/errors/app-error.js';
import type { Status } from '../../src/deployments/deployment.js';
import type { DeploymentRow } from '../../src/deployments/deployment.table.js';
import { DEFAULT_TENANT_ID } from '../../src/tenancy/principal.js';
import type { DeploymentsFixture } from './deployments-fixture.js';
import { Gate } from './gate.js';

/** Deployments that the reconciler has brought to a status, and is held in the middle of where that one passes. */
export class DeploymentStages {
  private readonly held: (() => void)[] = [];
  private readonly deletions: Promise<void>[] = [];
  private readonly ways: Record<Status, () => Promise<string>> = {
    pending: () => Promise.resolve(this.withoutRoom()),
    starting: () => this.heldAt('start', () => this.fixture.create().id),
    running: async () => (await this.fixture.running()).id,
    pausing: async () => {
      const { id } = await this.fixture.running();
      return this.heldAt('stop', () => this.pause(id));
    },
    paused: async () => {
      const { id } = await this.fixture.running();
      await this.fixture.waits.untilSettled(this.pause(id), 5000);
      return id;
    },
    failed: async () => {
      this.fixture.runtime.failNext('start', new AppError('image_not_found'));
      return (await this.fixture.running()).id;
    },
    deleting: async () => {
      const { id } = await this.fixture.running();
      return this.heldAt('remove', () => this.delete(id));
    },
  };

  constructor(private readonly fixture: DeploymentsFixture) {}

  async bring(status: Status): Promise<DeploymentRow> {
    return this.fixture.get(await this.ways[status]());
  }

  /** Let the reconciler go on. */
  goOn(): void {
    for (const release of this.held) release();
  }

  async end(): Promise<void> {
    this.goOn();
    await Promise.all(this.deletions);
  }

  private async heldAt(step: 'start' | 'stop' | 'remove', begin: () => string): Promise<string> {
    const gate = new Gate();
    this.held.push(gate.open);
    this.fixture.runtime.next(step, gate.wait);
    const id = begin();
    await gate.reached;
    return id;
  }

  /** Another one has all there is. */
  private withoutRoom(): string {
    const { capacity, config } = this.fixture;
    config.maxRunning = 1;
    capacity.hold({ id: 'dp_other', maxMemoryMb: 0 });
    this.held.push(() => capacity.release('dp_other'));
    return this.fixture.create().id;
  }

  private pause(id: string): string {
    this.fixture.service.pause(DEFAULT_TENANT_ID, id);
    return id;
  }

  private delete(id: string): string {
    this.deletions.push(this.fixture.service.delete(DEFAULT_TENANT_ID, id));
    return id;
  }
}
