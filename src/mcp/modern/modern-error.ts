import { EdgeError } from '../edges/http/http-reply.js';

/** Codes that revision 2026-07-28 adds; all of them go with HTTP status 400. */
export const MODERN_RPC = {
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
} as const;

/** A request that is refused before a server sees it, with the HTTP status and JSON-RPC error that the revision demands. */
export class ModernError extends EdgeError {
  constructor(status: number, code: number, message: string, data?: Record<string, unknown>) {
    super(status, message, code, {}, data);
    this.name = 'ModernError';
  }
}
