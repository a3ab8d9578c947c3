import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../errors/app-error.js';
import type { SandboxUser } from '../sandbox-runtime.js';
import { HostCommandError, runOnHost } from './host-command.js';
import { Mutex } from './mutex.js';

const PASSWD = '/etc/passwd';
const GROUP = '/etc/group';
/** What the tools print when another program holds the lock on the account files. */
const LOCKED = /lock|try again/i;
const LOCK_TRIES = 20;
const LOCK_PAUSE_MS = 250;

/**
 * The system accounts behind the uids: operators see the name in ps, ls and audit logs. Only names that begin with `mcp-`
 * are ever touched. The tools lock the account files against each other and give up soon, so ours take turns.
 */
export class SystemAccounts {
  private readonly turns = new Mutex();

  /** False: this process may not make accounts; the bare number does as well. */
  async create(user: SandboxUser): Promise<boolean> {
    if (!(await canWriteAccounts())) return false;
    const { name, uid, gid } = user;
    await this.turns.run(async () => {
      if ((await idIn(GROUP, name)) === undefined) await tool('groupadd', ['--gid', `${gid}`, name]);
      if ((await idIn(PASSWD, name)) === undefined) {
        // --system: no subordinate id ranges; --no-log-init: no holes of megabytes in lastlog for high uids.
        const ids = ['--uid', `${uid}`, '--gid', `${gid}`, '--no-user-group'];
        const home = ['--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin'];
        await tool('useradd', ['--system', '--no-log-init', ...ids, ...home, name]);
      }
      const isUid = (await idIn(PASSWD, name)) === uid && (await idIn(GROUP, name)) === gid;
      if (!isUid)
        throw new AppError('sandbox_start_failed', {
          detail: `The account ${name} exists with another uid.`,
        });
    });
    return true;
  }

  /** Only where the name stands for these very ids. */
  async remove({ name, uid, gid }: SandboxUser): Promise<void> {
    if (!name.startsWith('mcp-') || !(await canWriteAccounts())) return;
    await this.turns.run(async () => {
      if ((await idIn(PASSWD, name)) === uid) await tool('userdel', ['--force', name]);
      if ((await idIn(GROUP, name)) === gid) await tool('groupdel', [name]);
    });
  }
}

/** The uids from `first` to `last` that have an account of ours. */
export async function accountUidsIn(first: number, last: number): Promise<number[]> {
  const uids = (await readFile(PASSWD, 'utf8')).split('\n').flatMap((line) => {
    const uid = Number(/^mcp-\d+:[^:]*:(\d+):/.exec(line)?.[1] ?? NaN);
    return uid >= first && uid <= last ? [uid] : [];
  });
  return uids;
}

async function canWriteAccounts(): Promise<boolean> {
  if (process.geteuid?.() !== 0) return false;
  return access(PASSWD, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** The third field of the line that begins with this name: uid or gid. */
async function idIn(file: string, name: string): Promise<number | undefined> {
  const line = (await readFile(file, 'utf8')).split('\n').find((text) => text.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(':')[2]);
}

async function tool(command: string, args: string[]): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await runOnHost(command, args);
      return;
    } catch (error) {
      const locked = error instanceof HostCommandError && LOCKED.test(error.stderr);
      if (!locked || attempt === LOCK_TRIES) throw error;
      await sleep(LOCK_PAUSE_MS);
    }
  }
}
