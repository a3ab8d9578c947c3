import { BackupError } from './backup-error.js';

/** What a backup consists of; each is a file of the data directory of that name. */
export const PARTS = ['mcp-runner.sqlite', 'instance-id', 'api-key'] as const;
export type PartName = (typeof PARTS)[number];

/** In bytes: the database may be as large as the disk, the others are a line each. */
const MOST_BYTES: Record<PartName, number> = {
  'mcp-runner.sqlite': 2 ** 40,
  'instance-id': 64,
  'api-key': 4096,
};
const ANOTHER = 'Use another backup.';

export interface BackupPart {
  name: PartName;
  bytes: number;
  sha256: string;
}

/** The first entry of a backup: what the others are. */
export interface BackupManifest {
  format: 1;
  /** Of the mcp-runner that made it. */
  version: string;
  /** The last migration of the database. */
  schema: { tag: string; when: number };
  instanceId: string;
  createdAt: string;
  deployments: number;
  parts: BackupPart[];
}

/** Throws a `BackupError` for anything but a manifest of ours. */
export function parseManifest(text: string): BackupManifest {
  let found: Partial<BackupManifest>;
  try {
    found = Object(JSON.parse(text)) as Partial<BackupManifest>;
  } catch (error) {
    throw new BackupError('Its manifest is not JSON', ANOTHER, { cause: error });
  }
  if (typeof found.format === 'number' && found.format > 1)
    throw new BackupError('A newer version of mcp-runner made it', 'Restore it with that version.');
  const schema = Object(found.schema) as Partial<BackupManifest['schema']>;
  const isOurs =
    found.format === 1 &&
    isShortText(found.version) &&
    isShortText(schema.tag) &&
    Number.isSafeInteger(schema.when) &&
    /^[0-9a-f]{16}$/.test(String(found.instanceId)) &&
    isShortText(found.createdAt) &&
    Number.isSafeInteger(found.deployments) &&
    Array.isArray(found.parts) &&
    found.parts.length <= PARTS.length &&
    found.parts.every(isPart) &&
    new Set(found.parts.map(({ name }) => name)).size === found.parts.length &&
    found.parts.some(({ name }) => name === 'mcp-runner.sqlite') &&
    found.parts.some(({ name }) => name === 'instance-id');
  if (!isOurs) throw new BackupError('Its manifest is not one of mcp-runner', ANOTHER);
  return found as BackupManifest;
}

function isPart(part: unknown): part is BackupPart {
  const { name, bytes, sha256 } = Object(part) as Partial<BackupPart>;
  return (
    name !== undefined &&
    PARTS.includes(name) &&
    typeof bytes === 'number' &&
    Number.isSafeInteger(bytes) &&
    bytes > 0 &&
    bytes <= MOST_BYTES[name] &&
    /^[0-9a-f]{64}$/.test(String(sha256))
  );
}

/** For the terminal as well: no control characters. */
function isShortText(text: unknown): boolean {
  return typeof text === 'string' && /^[\w.:+-]{1,100}$/.test(text);
}
