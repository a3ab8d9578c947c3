import { Calls } from '../../src/mcp/edges/calls/calls.js';

/** Calls whose number, as long as they have not ended, stands in `counts.calls`. */
export function countingCalls(counts: { calls: number }): Calls {
  const calls = new Calls();
  calls.observe({ began: () => counts.calls++, ended: () => counts.calls-- });
  return calls;
}
