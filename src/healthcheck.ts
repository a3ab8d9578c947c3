import { loadConfig } from './config/load-config.js';
import { localUrlOf } from './config/local-url.js';
import type { HealthDto } from './health/health.dto.js';

const PATIENCE_MS = 12_000;

/** A program of its own, for whoever supervises the service: exit code 0 where it is healthy, else what is not. */
async function main(): Promise<void> {
  const url = `${localUrlOf(loadConfig())}/health`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const { checks } = (await answer.json()) as HealthDto;
  const lines = checks.filter(({ ok }) => !ok).map(({ name, message }) => `${name}: ${message}`);
  process.stdout.write(`${lines.join('\n') || 'healthy'}\n`);
  process.exitCode = answer.ok ? 0 : 1;
}

try {
  await main();
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
