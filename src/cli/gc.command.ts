import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { restoreDrafts, setAsideBeyond, startDrafts } from '../backup/leftovers.js';
import { loadConfig } from '../config/load-config.js';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { DataDirLock } from '../database/data-dir-lock.js';
import { examineDatabase } from '../database/database-exam.js';
import { deploymentsIn } from '../database/known-deployments.js';
import { MIGRATIONS_FOLDER, readMigrations } from '../database/migrations.js';
import { hasUnfinishedRestore } from '../database/restored-state.js';
import { reasonOf, StartRefusal } from '../database/start-refusal.js';
import { orphansIn, removeOrphan } from '../deployments/orphans.js';
import { withContainers } from './command-context.js';
import { type Command, CommandError, EXIT, print, requireDataDir } from './command.js';

const KEPT = 3;
const LIST_MS = 60_000;
const REMOVE_MS = 180_000;

/** Removes one thing, or says that it would, or that it cannot. */
type Sweep = (what: string, remove: () => Promise<void> | void) => Promise<void>;

export const gcCommand: Command = {
  help: `Usage: mcp-runner gc [--dry-run]

Removes what nobody owns any more: containers, networks, volumes, homes and accounts of deployments that have no row in the
database; states that restores have set aside, but for the newest ${KEPT}, with the homes in them; drafts of files whose making was
cut off. In the engine it touches only what carries the label of this instance. It may run beside the service: a row is
written before anything of its deployment is made. It refuses where it cannot know: without a sound database of this version,
or beside a restore.

  --dry-run   say what would be removed, and remove nothing

Exit codes: 0 done, 1 failed, 64 wrong usage.`,
  options: { 'dry-run': { type: 'boolean' } },
  positionals: 0,
  async run(_positionals, options) {
    const { dataDir } = loadConfig();
    requireDataDir(dataDir);
    // Held to the end: a restore would bring back rows that were not there when they were looked for.
    const lock = new DataDirLock(dataDir, 'maintenance');
    try {
      requireRows(dataDir);
      const isDry = options['dry-run'] === true;
      const count = { done: 0, failed: 0 };
      const sweep: Sweep = async (what, remove) => {
        try {
          if (!isDry) await remove();
          count.done += 1;
          print(`${isDry ? 'would remove' : 'removed'} ${what}`);
        } catch (error) {
          count.failed += 1;
          process.stderr.write(`mcp-runner: could not remove ${what} (${reasonOf(error)})\n`);
        }
      };
      await sweepOrphans(dataDir, sweep);
      await sweepFiles([...setAsideBeyond(dataDir, KEPT), ...restoreDrafts(dataDir)], sweep);
      await sweepStartDrafts(dataDir, sweep);
      if (count.failed > 0)
        throw new CommandError(`${count.failed} could not be removed`, 'Mend that and run it again.');
      if (count.done === 0) print('There is nothing to remove.');
      return EXIT.done;
    } finally {
      lock.release();
    }
  },
};

/** Without rows everything would look like nobody's. */
function requireRows(dataDir: string): void {
  const path = databaseIn(dataDir);
  if (hasUnfinishedRestore(dataDir))
    throw new CommandError('A restore was cut off', 'Start the service, which finishes it.');
  if (!existsSync(path))
    throw new CommandError(
      `There is no ${path}, so nothing is known to be nobody's`,
      'Set DATA_DIR to what the service has.',
    );
  const { state } = examineDatabase(path, readMigrations(MIGRATIONS_FOLDER));
  if (state !== 'same')
    throw new CommandError(
      `The database is not a sound one of this version (${state}), so nothing is known to be nobody's`,
      'Run mcp-runner doctor.',
    );
}

async function sweepOrphans(dataDir: string, sweep: Sweep): Promise<void> {
  await withContainers(async (app) => {
    const runtime = app.get(SandboxRuntime);
    await runtime.attach();
    const traces = await runtime.list(AbortSignal.timeout(LIST_MS));
    // Read after the list was taken, from the file that has the name now.
    const known = new Set(deploymentsIn(databaseIn(dataDir)).map(({ id }) => id));
    for (const id of orphansIn(traces, (deploymentId) => known.has(deploymentId))) {
      await sweep(`what was left of ${id}`, () => removeOrphan(runtime, id, AbortSignal.timeout(REMOVE_MS)));
    }
  });
}

async function sweepFiles(paths: string[], sweep: Sweep): Promise<void> {
  for (const path of paths) await sweep(path, () => rmSync(path, { recursive: true, force: true }));
}

/** The service has them under its hands while it starts. */
async function sweepStartDrafts(dataDir: string, sweep: Sweep): Promise<void> {
  if (startDrafts(dataDir).length === 0) return;
  let lock: DataDirLock;
  try {
    lock = new DataDirLock(dataDir);
  } catch (error) {
    if (!(error instanceof StartRefusal)) throw error;
    print('Drafts of files stay while the service runs; run this again while it is stopped.');
    return;
  }
  try {
    await sweepFiles(startDrafts(dataDir), sweep);
  } finally {
    lock.release();
  }
}

function databaseIn(dataDir: string): string {
  return join(dataDir, 'mcp-runner.sqlite');
}
