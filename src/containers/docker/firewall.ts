import { runOnHost } from './host-command.js';
import { rulesOf, tableNameOf } from './firewall-rules.js';

/** The static nftables table that keeps sandboxes from the host, from each other and from private networks. */
export class Firewall {
  private readonly table: string;
  private readonly rules: string;
  /** How the kernel lists the table when it is whole. */
  private listing: string | undefined;

  constructor(pool: string, dns: string[]) {
    this.table = tableNameOf(pool);
    this.rules = rulesOf(pool, dns);
  }

  /** One transaction: there is no moment without rules. */
  async apply(): Promise<void> {
    await runOnHost('nft', ['-f', '-'], this.rules);
    this.listing = await this.list();
  }

  /** Applies the rules where something has taken or changed them. */
  async ensure(): Promise<void> {
    if (!(await this.isWhole())) await this.apply();
  }

  async isWhole(): Promise<boolean> {
    if (this.listing === undefined) return false;
    return (await this.list().catch(() => '')) === this.listing;
  }

  private list(): Promise<string> {
    return runOnHost('nft', ['list', 'table', 'inet', this.table]);
  }
}
