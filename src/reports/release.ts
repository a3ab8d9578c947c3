import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const BUILD_DIGITS = 12;

/**
 * `mcp-runner@<version>+<build>`: what errors and source maps find each other by. The build is a hash of the compiled
 * files, so it needs neither git nor a step of its own, and two builds of one version are two releases.
 *
 * @param folder the compiled program, `dist`
 */
export function releaseOf(version: string, folder: string): string {
  const hash = createHash('sha256');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.js'),
  );
  for (const name of files.sort()) hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
  return `mcp-runner@${version}+${hash.digest('hex').slice(0, BUILD_DIGITS)}`;
}
