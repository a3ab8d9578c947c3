import type { SandboxRuntime, SandboxTrace } from '../containers/sandbox-runtime.js';

/** Without its row nobody knows its account and subnet any more; the container does, where there is one. */
const UNKNOWN = { name: 'mcp-unknown', uid: -1, gid: -1 };

/**
 * Deployments of which something is left here or in the engine, and that no row speaks of. A row is written before its
 * sandbox is made and goes after it, and no id is given twice: whatever has none once the list was taken is nobody's, also
 * while a service works.
 */
export function orphansIn(traces: SandboxTrace[], hasRow: (deploymentId: string) => boolean): string[] {
  return traces.map(({ deploymentId }) => deploymentId).filter((id) => !hasRow(id));
}

/** May be repeated, also at the same time by another process. */
export function removeOrphan(
  runtime: SandboxRuntime,
  deploymentId: string,
  signal: AbortSignal,
): Promise<void> {
  return runtime.remove({ deploymentId, user: UNKNOWN, subnet: '' }, signal);
}
