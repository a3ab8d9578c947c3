import { backUp } from '../backup/backup.js';
import { loadConfig } from '../config/load-config.js';
import { DataDirLock } from '../database/data-dir-lock.js';
import { type Command, EXIT, print, requireDataDir } from './command.js';

export const backupCommand: Command = {
  help: `Usage: mcp-runner backup [--force] FILE

Copies the state of the service in DATA_DIR to FILE, a tar file for its owner only, whether the service runs or not: the
database as it is at one moment, the instance's id, and the API key that is kept in DATA_DIR. It holds secrets: the
environment of deployments and that key. What servers have stored in their homes is not in it; copy DATA_DIR/homes while
the service is stopped and its deployments are paused.

  --force   replace FILE if it is there

FILE appears whole and checked, or not at all. Exit codes: 0 done, 1 failed, 64 wrong usage.`,
  options: { force: { type: 'boolean' } },
  positionals: 1,
  async run([file = ''], { force }) {
    const { dataDir } = loadConfig();
    requireDataDir(dataDir);
    const lock = new DataDirLock(dataDir, 'maintenance');
    try {
      const { path, bytes, manifest } = await backUp(dataDir, file, force === true, new Date());
      const { deployments, schema, version } = manifest;
      print(`${path}: ${bytes} bytes, ${deployments} deployments, schema ${schema.tag}, version ${version}.`);
      print('Checked. The homes of the deployments are not in it.');
      return EXIT.done;
    } finally {
      lock.release();
    }
  },
};
