import { join } from 'node:path';
import type { HostSurvey } from '../containers/host-survey.js';
import type { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { deploymentsIn } from '../database/known-deployments.js';
import { reasonOf } from '../database/start-refusal.js';
import { orphansIn } from '../deployments/orphans.js';
import type { Finding } from './finding.js';

const NAME = 'orphans';
const SHOWN = 5;

/** Whether anything carries our label that no row owns. Rows are read after the traces: see `orphansIn`. */
export async function checkOrphans(
  dataDir: string,
  runtime: SandboxRuntime,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    await runtime.attach();
    const traces = await runtime.list(signal);
    const known = new Set(deploymentsIn(join(dataDir, 'mcp-runner.sqlite')).map(({ id }) => id));
    const orphans = orphansIn(traces, (id) => known.has(id));
    if (orphans.length === 0)
      return { name: NAME, level: 'ok', message: `All that is ours belongs to ${known.size} deployments.` };
    return {
      name: NAME,
      level: 'warn',
      message: `${orphans.length} left behind that no deployment owns: ${firstOf(orphans)}.`,
      fix: 'mcp-runner gc removes them, and so does the next start of the service.',
    };
  } catch (error) {
    const fix = 'See the engine, the data directory and the database.';
    return { name: NAME, level: 'warn', message: `They cannot be looked for (${reasonOf(error)}).`, fix };
  }
}

/** An account carries no label, so whose it is only its number tells. */
export async function checkAccounts(dataDir: string, survey: HostSurvey): Promise<Finding> {
  const name = 'accounts';
  try {
    const found = await survey.accountUids();
    const known = new Set(deploymentsIn(join(dataDir, 'mcp-runner.sqlite')).map(({ uid }) => uid));
    const strangers = found.filter((uid) => !known.has(uid)).map((uid) => `mcp-${uid}`);
    if (strangers.length === 0)
      return { name, level: 'ok', message: `${found.length} accounts, each of a deployment.` };
    return {
      name,
      level: 'warn',
      message: `${strangers.length} accounts in the configured range of uids that no deployment owns: ${firstOf(strangers)}.`,
      fix: 'Unless another instance has the same range: userdel them.',
    };
  } catch (error) {
    const fix = 'See the database.';
    return { name, level: 'warn', message: `They cannot be looked for (${reasonOf(error)}).`, fix };
  }
}

function firstOf(names: string[]): string {
  const shown = names.slice(0, SHOWN).join(', ');
  return names.length > SHOWN ? `${shown}, …` : shown;
}
