import { packageVersion } from '../config/package-version.js';

/** Who we are to servers that we speak to ourselves. */
export const CLIENT_INFO = { name: 'mcp-runner', version: packageVersion() };
