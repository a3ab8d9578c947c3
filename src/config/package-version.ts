import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// The same from src/config and from dist/config.
const PACKAGE = join(import.meta.dirname, '..', '..', 'package.json');

/** The version of mcp-runner that runs, as `package.json` has it. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }).version;
}
