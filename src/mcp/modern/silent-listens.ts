import type { Upstream } from '../edges/upstream.js';
import type { OpenListen } from './open-listen.js';

/** Of one principal, that wait for its next server. */
const MAX_SILENT = 1000;

interface Group {
  upstream: Upstream;
  listens: Set<OpenListen>;
}

/** What clients listen to that have no server now. */
export class SilentListens {
  private readonly groups = new Map<string, Group>();

  /** False: its principal has too many. */
  add(upstream: Upstream, listen: OpenListen): boolean {
    const key = keyOf(upstream);
    const group = this.groups.get(key) ?? { upstream, listens: new Set() };
    if (group.listens.size >= MAX_SILENT) return false;
    group.listens.add(listen);
    this.groups.set(key, group);
    return true;
  }

  remove(upstream: Upstream, listen: OpenListen): void {
    const key = keyOf(upstream);
    const group = this.groups.get(key);
    group?.listens.delete(listen);
    if (group?.listens.size === 0) this.groups.delete(key);
  }

  /** All of a principal that are still listened to; they are its caller's from now on. */
  take(upstream: Upstream): OpenListen[] {
    const key = keyOf(upstream);
    const listens = [...(this.groups.get(key)?.listens ?? [])];
    this.groups.delete(key);
    return listens.filter(({ open }) => open);
  }

  /** One of each principal that has some at the deployment, and where it belongs. */
  of(deploymentId: string): { upstream: Upstream; listen: OpenListen }[] {
    return [...this.groups.values()]
      .filter(({ upstream }) => upstream.owner.deploymentId === deploymentId)
      .flatMap(({ upstream, listens }) => [...listens].slice(0, 1).map((listen) => ({ upstream, listen })));
  }

  /** A deployment is gone, and with it what its clients listen to. */
  end(deploymentId: string): void {
    for (const { upstream } of this.of(deploymentId)) {
      for (const listen of this.take(upstream)) {
        listen.end({ cause: 'ended', message: 'The deployment is gone' });
      }
    }
  }
}

/** One string for the principal at its deployment. */
export function keyOf({ owner }: Pick<Upstream, 'owner'>): string {
  return `${owner.deploymentId} ${owner.principal}`;
}
