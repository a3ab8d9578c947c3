import { readFile } from 'node:fs/promises';
import type { Config } from '../../config/config.js';
import type { HostFinding } from '../host-survey.js';
import { runOnHost } from './host-command.js';
import { type EngineInfo, judgeRuntime } from './runtime-checks.js';

/** The one that setup.sh puts in front of a runsc that needs it. */
const WRAPPER = /hides \/proc\/sys|# for runsc /i;
/** Kernels since 5.15 or so show every network namespace what old releases take for a proof of being in the host's. */
const CURED_SINCE = 20_241_001;

/** Whether the configured runtime is registered, where, which release, and whether it needs a wrapper and has one. */
export async function registeredRuntimeFinding(info: EngineInfo, config: Config): Promise<HostFinding> {
  const name = 'runtime';
  const { ok, message } = judgeRuntime(info, config);
  const fix = 'Run setup.sh engine, which registers runsc and proves that a sandbox starts.';
  if (!ok) return { name, level: 'fail', message, fix };
  if (config.sandboxRuntime !== 'runsc')
    return { name, level: 'warn', message, fix: 'Set SANDBOX_RUNTIME=runsc.' };
  const path = info.Runtimes?.['runsc']?.path ?? '';
  // A program is no text, and is not read whole.
  const isWrapped = await readFile(path, 'utf8').then(
    (text) => text.startsWith('#!') && WRAPPER.test(text),
    () => false,
  );
  const version = await versionOf(path);
  const what = `${message} It is ${version ?? 'of an unknown version'}, registered as ${path || 'runsc'}`;
  const release = Number(/20\d{6}/.exec(version ?? '')?.[0] ?? NaN);
  if (isWrapped)
    return { name, level: 'ok', message: `${what}, with the wrapper that old releases need on new kernels.` };
  // Of a service in a container the engine's programs are not to be seen.
  if (Number.isNaN(release))
    return { name, level: 'ok', message: `${what}; whether it needs a wrapper cannot be seen from here.` };
  if (release < CURED_SINCE)
    return {
      name,
      level: 'ok',
      message: `${what}; should starts fail with "root network namespace", it needs a wrapper, which setup.sh engine makes.`,
    };
  return { name, level: 'ok', message: `${what}; it needs no wrapper.` };
}

async function versionOf(path: string): Promise<string | undefined> {
  const output = await runOnHost(path === '' ? 'runsc' : path, ['--version']).catch(() => '');
  return /^runsc version (\S{1,60})/m.exec(output)?.[1];
}
