import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Who we are to servers that we speak to ourselves. */
export const CLIENT_INFO = { name: 'mcp-runner', version };
