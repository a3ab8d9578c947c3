import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageVersion } from '../config/package-version.js';
import { loadSentryUpload, type SentryUpload } from '../config/sentry-upload.js';
import { releaseOf } from '../reports/release.js';
import { type Command, CommandError, EXIT, print } from './command.js';

const ROOT = join(import.meta.dirname, '..', '..');
const DIST = join(ROOT, 'dist');
const DEADLINE_MS = 600_000;
const MOST_WORDS = 4000;

export const publishSourcemapCommand: Command = {
  help: `Usage: mcp-runner publish:sourcemap

Sends the compiled files of this build and their source maps to Sentry, so that it shows errors of ours with their place in
the TypeScript sources. To be run once for each build that runs, with the same files: the release is named by their content.

Environment:
  SENTRY_ORG, SENTRY_PROJECT   slugs, as in https://ORG.sentry.io/projects/PROJECT/
  SENTRY_AUTH_TOKEN            an organization token, or one with the scope project:releases
  SENTRY_URL                   of a Sentry of your own; default https://sentry.io

Exit codes: 0 done, 1 failed, 64 wrong usage or a variable missing.`,
  options: {},
  positionals: 0,
  async run() {
    const upload = loadSentryUpload();
    requireMaps();
    const release = releaseOf(packageVersion(), DIST);
    print(`Sending the source maps of ${release} to ${upload.org}/${upload.project}.`);
    await runSentryCli(upload, release, await sentryCliPath());
    print('Sentry has them.');
    return EXIT.done;
  },
};

function requireMaps(): void {
  const names = readdirSync(DIST, { recursive: true, encoding: 'utf8' });
  if (!names.some((name) => name.endsWith('.js.map')))
    throw new CommandError(`There are no source maps in ${DIST}`, 'Build it: npm run build.');
}

/** Of the package for this machine, which npm installs by itself; nothing is downloaded from elsewhere. */
async function sentryCliPath(): Promise<string> {
  try {
    const { SentryCli } = await import('@sentry/cli');
    return SentryCli.getPath();
  } catch {
    throw new CommandError(
      '@sentry/cli is not installed here',
      'Install it with the version of package.json: npm install --include=optional.',
    );
  }
}

async function runSentryCli(upload: SentryUpload, release: string, program: string): Promise<void> {
  // ~ stands for any origin: errors tell their places as app:///dist/….
  const args = [
    'sourcemaps',
    'upload',
    '--release',
    release,
    '--url-prefix',
    '~/dist',
    '--wait-for',
    '120',
    DIST,
  ];
  const child = spawn(program, args, {
    // A folder and an environment in which it finds no settings but ours.
    cwd: ROOT,
    env: {
      ...upload.network,
      HOME: '/nonexistent',
      SENTRY_LOAD_DOTENV: '0',
      SENTRY_ORG: upload.org,
      SENTRY_PROJECT: upload.project,
      SENTRY_AUTH_TOKEN: upload.authToken,
      ...(upload.url !== undefined && { SENTRY_URL: upload.url }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
  });
  // It lists every file; that is of interest only when it fails.
  let words = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      words = `${words}${text}`.slice(-MOST_WORDS);
    });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return;
  process.stderr.write(words);
  throw new CommandError(
    `sentry-cli ended with ${code === null ? 'no answer in time' : `exit code ${code}`}`,
    'The lines above say why; running this again is safe.',
  );
}
