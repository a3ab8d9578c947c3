import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const PROJECT = new URL('../..', import.meta.url).pathname;
const UNIT = 'etc/systemd/system/mcp-runner.service';
const SETTINGS = 'etc/mcp-runner.env';
/** Every character that systemd or a shell would make something of. */
const KEY = 'key-"with$all`of\\them\'#%&|';

/** What setup.sh gives its parts, and a service that is healthy. */
const SETUP = `
set -Eeuo pipefail
step() { :; }
note() { echo "$1"; }
die() { echo "FAILED $1" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }
is_root() { true; }
wait_for() { "\${@:2}"; }
. "$ROOT/scripts/service.sh"
is_healthy() { ! is_stopped; }
`;

let root: string;

/** Runs these functions of the set-up in a machine of its own, below `root`, that is run by systemd. */
async function inSetup(script: string, env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await run('bash', ['-c', `${SETUP}${script}`], {
    env: {
      PATH: `${root}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin`,
      ROOT: root,
      SYSTEMD_ROOT: root,
      DATA_DIR: `${root}/data`,
      ...env,
    },
  });
  return stdout;
}

/** What systemctl was told since the last time, beside questions. */
function told(): string[] {
  const lines = readFileSync(join(root, 'told'), 'utf8').trim().split('\n');
  writeFileSync(join(root, 'told'), '');
  return lines.filter((line) => line !== '' && !line.startsWith('show '));
}

function file(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'mcp-runner-systemd-'));
  for (const folder of ['bin', 'dist', 'run/systemd/system', 'etc/systemd/system']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  symlinkSync(join(PROJECT, 'scripts'), join(root, 'scripts'));
  symlinkSync(join(PROJECT, 'test/support/fake-systemctl.sh'), join(root, 'bin/systemctl'));
  symlinkSync(process.execPath, join(root, 'bin/node'));
  writeFileSync(join(root, 'dist/.build-key'), 'build 1\n');
});

beforeEach(() => writeFileSync(join(root, 'told'), ''));

afterAll(() => rmSync(root, { recursive: true }));

describe('set-up where systemd runs', () => {
  it('installs the unit with the settings that it was given, for root only, and starts it', async () => {
    await inSetup('start_service', { API_KEY: KEY, MAX_RUNNING: '7', PORT: '8080' });
    expect(told()).toEqual([
      'daemon-reload',
      'enable --quiet mcp-runner.service',
      'start mcp-runner.service',
    ]);
    expect(file(UNIT)).toContain(`ExecStart=${root}/bin/node "${root}/dist/main.js"\n`);
    expect(file(UNIT)).toContain(`ReadWritePaths=/etc ${root}/data\n`);
    expect(file(UNIT)).not.toMatch(/@[A-Z_]+@|key-/);
    expect(file(SETTINGS)).toContain(String.raw`API_KEY="key-\"with\$all\`of\\them'#%&|"`);
    expect(file(SETTINGS)).toContain('\nMAX_RUNNING="7"\nPORT="8080"\n');
    expect(statSync(join(root, SETTINGS)).mode & 0o777).toBe(0o600);
  });

  it('leaves what runs as it is when nothing has changed, and keeps what it was told before', async () => {
    const before = file(SETTINGS);
    expect(await inSetup('start_service; printf "%s %s" "$PORT" "$API_KEY"')).toContain(
      `runs already, pid 4711\n8080 ${KEY}`,
    );
    expect(told()).toEqual([]);
    expect(file(SETTINGS)).toBe(before);
  });

  it('starts it anew with a new build or another setting', async () => {
    await inSetup('start_service', { PAUSE_UNDER_PRESSURE: 'true' });
    expect(told()).toContain('start mcp-runner.service');
    expect(file(SETTINGS)).toContain('PAUSE_UNDER_PRESSURE="true"\nPORT="8080"\n');
    writeFileSync(join(root, 'dist/.build-key'), 'build 2\n');
    await inSetup('start_service');
    const [first, ...rest] = told();
    expect(first).toBe('stop mcp-runner.service');
    expect(rest).toContain('start mcp-runner.service');
  });

  it('stops it with the unit left in place, and takes unit and settings away when it is uninstalled', async () => {
    await inSetup('stop');
    expect(told()).toEqual(['stop mcp-runner.service']);
    expect(existsSync(join(root, UNIT))).toBe(true);
    await inSetup('remove_unit');
    expect(told()).toEqual(['disable --quiet --now mcp-runner.service', 'daemon-reload']);
    expect(existsSync(join(root, UNIT)) || existsSync(join(root, SETTINGS))).toBe(false);
    await inSetup('remove_unit');
    expect(told()).toEqual([]);
  });
});

describe('the unit', () => {
  it('is one that systemd understands', async () => {
    const text = await inSetup('unit_text');
    const unit = join(root, 'mcp-runner.service');
    writeFileSync(unit, text);
    writeFileSync(join(root, 'dist/main.js'), '');
    const analyze = await run('bash', [
      '-c',
      'command -v systemd-analyze || { apt-get -qq update && apt-get -y -qq install --no-install-recommends systemd >&2; } >&2',
    ]).then(() => run('systemd-analyze', ['verify', unit]));
    expect(analyze.stderr).toBe('');
  });

  it('gives calls in flight more time than the service takes', () => {
    const seconds = /^TimeoutStopSec=(\d+)$/m.exec(file('scripts/mcp-runner.service'))?.[1];
    expect(Number(seconds)).toBeGreaterThan(20);
  });
});
