import type { Config } from '../config/config.js';
import { localUrlOf } from '../config/local-url.js';
import { packageVersion } from '../config/package-version.js';
import { lockHolderOf, type LockHolder } from '../database/data-dir-lock.js';
import { reasonOf } from '../database/start-refusal.js';
import type { Finding } from './finding.js';

const NAME = 'service';
const PATIENCE_MS = 8000;
const MOST_BYTES = 65_536;

/** Whether a service has the directory, of which version, and what it says of itself. */
export async function checkService(config: Config): Promise<Finding[]> {
  const holder = lockHolderOf(config.dataDir);
  if (holder === undefined)
    return [{ name: NAME, level: 'warn', message: 'It does not run.', fix: 'Start it.' }];
  return [versionFinding(holder), ...(await askHealth(config))];
}

function versionFinding({ pid, version }: LockHolder): Finding {
  const ours = packageVersion();
  const runs = `It runs${pid === undefined ? '' : ` as pid ${pid}`}`;
  if (version === ours) return { name: NAME, level: 'ok', message: `${runs}, version ${ours}.` };
  return {
    name: NAME,
    level: 'warn',
    message: `${runs}, version ${version ?? 'unknown'}; this is version ${ours}.`,
    fix: 'Restart the service, or use the mcp-runner of its version.',
  };
}

async function askHealth(config: Config): Promise<Finding[]> {
  const url = `${localUrlOf(config)}/health`;
  try {
    const answer = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(PATIENCE_MS) });
    const text = (await answer.text()).slice(0, MOST_BYTES);
    return findingsOf(JSON.parse(text));
  } catch (error) {
    return [
      {
        name: 'health',
        level: 'fail',
        message: `It does not answer at ${url} (${reasonOf(error)}).`,
        fix: 'Set PORT and BIND_IP to what the service has; look at its log.',
      },
    ];
  }
}

function findingsOf(body: unknown): Finding[] {
  const { status, checks } = Object(body) as { status?: unknown; checks?: unknown };
  if (!Array.isArray(checks)) throw new Error('that is no /health of mcp-runner');
  if (status === 'ok') return [{ name: 'health', level: 'ok', message: '/health is good.' }];
  const bad = (checks as { name?: unknown; ok?: unknown; message?: unknown }[]).filter(
    ({ ok }) => ok !== true,
  );
  return bad.slice(0, 10).map(({ name, message }) => ({
    name: 'health',
    level: 'fail',
    message: `${printable(name)}: ${printable(message)}`,
    fix: 'See what it says, and the finding of that name here.',
  }));
}

/** What comes over a port may be anybody's. */
function printable(text: unknown): string {
  return String(text)
    .replaceAll(/[^ -~]/g, '?')
    .slice(0, 300);
}
