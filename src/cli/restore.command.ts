import { existsSync } from 'node:fs';
import { restore, type Restore } from '../backup/restore.js';
import { loadConfig } from '../config/load-config.js';
import { DataDirLock } from '../database/data-dir-lock.js';
import { StartRefusal } from '../database/start-refusal.js';
import { type Command, CommandError, EXIT, print } from './command.js';

export const restoreCommand: Command = {
  help: `Usage: mcp-runner restore FILE

Puts a backup in the place of the state in DATA_DIR. The service must be stopped. FILE is checked, all of it, before
anything is touched; then the present state is moved aside, to DATA_DIR/before-restore-…, and

  mcp-runner restore DATA_DIR/before-restore-…

brings it back. Should this be cut off, the state is the old one or the new one: the next start of the service, or of this
command, finishes what was decided. A backup of a newer version is refused, one of an older version is brought up to date by
the next start.

That start also makes everything match: deployments of the backup are started anew, as they were; what newer deployments have
left is removed. Their homes and logs are kept in the folder of the state that was set aside, and come back with it.

Exit codes: 0 done, 1 failed, 64 wrong usage.`,
  options: {},
  positionals: 1,
  async run([file = '']) {
    const { dataDir } = loadConfig();
    if (!existsSync(file)) throw new CommandError(`There is no ${file}`, 'Name a backup.');
    const locks = lockBoth(dataDir);
    try {
      tell(await restore(dataDir, file, new Date()), file, dataDir);
      return EXIT.done;
    } finally {
      for (const lock of locks) lock.release();
    }
  },
};

function lockBoth(dataDir: string): DataDirLock[] {
  const maintenance = new DataDirLock(dataDir, 'maintenance');
  try {
    return [new DataDirLock(dataDir), maintenance];
  } catch (error) {
    maintenance.release();
    if (!(error instanceof StartRefusal)) throw error;
    throw new CommandError('A restore needs the service to be stopped', error.message);
  }
}

function tell(done: Restore, file: string, dataDir: string): void {
  const of =
    done.manifest === undefined
      ? ''
      : `, made ${done.manifest.createdAt} by version ${done.manifest.version}`;
  print(`${file} is restored to ${dataDir}: ${done.deployments} deployments${of}.`);
  if (done.canBeUndone) print(`To undo it: mcp-runner restore ${done.aside}`);
  if (done.strangers > 0)
    print(
      `${done.strangers} deployments that it does not know have homes or logs here. The next start removes those deployments; their homes and logs are kept in ${done.aside}.`,
    );
  if (done.homeless > 0) print(`${done.homeless} deployments have no home here and begin with an empty one.`);
  if (done.instanceBefore !== undefined)
    print(
      `It is of another instance than ${done.instanceBefore}, whose containers, networks and volumes nobody knows now. See: docker ps -a --filter label=mcp-runner.instance=${done.instanceBefore}`,
    );
  print('Now start the service.');
}
