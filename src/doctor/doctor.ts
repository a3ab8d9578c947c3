import type { Config } from '../config/config.js';
import type { HostSurvey } from '../containers/host-survey.js';
import type { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { checkDataDir, checkDisk } from './data-dir-check.js';
import { checkDatabase } from './database-check.js';
import type { Finding } from './finding.js';
import { checkAccounts, checkOrphans } from './orphans-check.js';
import { checkService } from './service-check.js';

/** An engine that hangs is told by its own deadline; this is for what hangs beyond that. */
const ENGINE_MS = 15_000;
const CHECK_MS = 20_000;

/** Look at everything that a deployment needs. Reads only; works whether service and engine run or not. Never rejects. */
export async function examine(
  config: Config,
  survey: HostSurvey,
  runtime: SandboxRuntime,
): Promise<Finding[]> {
  const { dataDir } = config;
  const engine = new AbortController();
  const { signal } = engine;
  const late = setTimeout(
    () => engine.abort(new Error(`The engine did not answer within ${ENGINE_MS / 1000} s.`)),
    ENGINE_MS,
  );
  const findings = await Promise.all([
    bounded('data directory', () => checkDataDir(dataDir)),
    bounded('disk', () => checkDisk(dataDir)),
    bounded('database', () => checkDatabase(dataDir)),
    bounded('service', () => checkService(config)),
    bounded('host', () => survey.look(signal)),
    bounded('orphans', () => checkOrphans(dataDir, runtime, signal)),
    bounded('accounts', () => checkAccounts(dataDir, survey)),
  ]);
  clearTimeout(late);
  return findings.flat();
}

async function bounded(
  name: string,
  check: () => Finding | Promise<Finding | Finding[]>,
): Promise<Finding[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Finding>((resolve) => {
    const message = `It cannot be said after ${CHECK_MS / 1000} s.`;
    timer = setTimeout(
      () => resolve({ name, level: 'fail', message, fix: 'Look at what hangs: disk, engine, nftables.' }),
      CHECK_MS,
    );
  });
  try {
    return [await Promise.race([Promise.resolve().then(check), late])].flat();
  } catch (error) {
    const message = `It cannot be looked at (${error instanceof Error ? error.message : String(error)}).`;
    return [{ name, level: 'fail', message, fix: 'Run this as the user of the service.' }];
  } finally {
    clearTimeout(timer);
  }
}
