import { randomBytes } from 'node:crypto';
import { formatIpv4 } from '../config/ipv4.js';
import type { SandboxSpec } from '../containers/sandbox-runtime.js';
import type { ErrorCode } from '../errors/error-codes.js';
import type { DeploymentRow } from './deployment.table.js';

/** Life of a deployment: which status may follow which. `deleting` ends in no row at all. */
export const TRANSITIONS = {
  pending: ['starting', 'pausing', 'failed', 'deleting'],
  starting: ['running', 'pausing', 'failed', 'deleting'],
  running: ['starting', 'pausing', 'failed', 'deleting'],
  pausing: ['paused', 'starting', 'deleting'],
  paused: ['starting', 'deleting'],
  failed: ['starting', 'deleting'],
  deleting: [],
} as const satisfies Record<string, readonly string[]>;

export type Status = keyof typeof TRANSITIONS;

export const STATUSES = Object.keys(TRANSITIONS) as Status[];

/** All statuses from which `to` may be reached. */
export function sourcesOf(to: Status): Status[] {
  return STATUSES.filter((from) => (TRANSITIONS[from] as readonly Status[]).includes(to));
}

/** Reasons that are no errors: what a deployment is doing. */
export const PROGRESS_CODES = [
  'created',
  'in_progress',
  'adopting',
  'ready',
  'requested',
  'waking',
  'idle',
  'pressure',
  'expired',
] as const;

export type ReasonCode = ErrorCode | (typeof PROGRESS_CODES)[number];

/** Why a deployment has its status: a code to switch on and a sentence to act on. */
export interface StatusReason {
  code: ReasonCode;
  message: string;
}

/** How the server speaks MCP: on its stdin and stdout, or as an HTTP server of its own inside the sandbox. */
export const TRANSPORT_TYPES = ['stdio', 'streamable_http', 'sse'] as const;
export type TransportType = (typeof TRANSPORT_TYPES)[number];

/** `isolated`: each session has a server process of its own. `shared`: one process serves all sessions. */
export const SESSION_MODES = ['isolated', 'shared'] as const;
export type SessionMode = (typeof SESSION_MODES)[number];

/** `token`: a key of the tenant or the deployment's own token; `public`: knowing the URL is enough. */
export const ACCESS_KINDS = ['token', 'public'] as const;
export type Access = (typeof ACCESS_KINDS)[number];

export function reasonOf({
  reasonCode,
  reasonMessage,
}: Pick<DeploymentRow, 'reasonCode' | 'reasonMessage'>): StatusReason {
  return { code: reasonCode, message: reasonMessage };
}

/** `dp_` and 128 random bits. */
export function newDeploymentId(): string {
  return `dp_${randomBytes(16).toString('hex')}`;
}

/** Names the uid, not the deployment: /etc/passwd is public, and for `public` access the id is a secret. */
export function accountName(uid: number): string {
  return `mcp-${uid}`;
}

export function sandboxSpecOf(row: DeploymentRow): SandboxSpec {
  return {
    deploymentId: row.id,
    image: row.image,
    limits: { memoryMb: row.maxMemoryMb, cpus: row.maxCpus, pids: row.maxPids, diskMb: row.maxDiskMb },
    user: { name: accountName(row.uid), uid: row.uid, gid: row.uid },
    subnet: subnetOf(row),
  };
}

export function subnetOf(row: Pick<DeploymentRow, 'subnetAddress'>): string {
  return `${formatIpv4(row.subnetAddress)}/29`;
}
