const MB = 1024 * 1024;
/** Less is soon gone: one deployment may take that much by default. */
const LEAST_MB = 1024;
/** On small disks. */
const LEAST_SHARE = 0.05;

/** What of `statfs` matters here. */
interface Disk {
  bsize: number;
  blocks: number;
  bavail: number;
}

/** Whether a disk has room for what a control plane and its sandboxes write. */
export function judgeDisk({ bsize, blocks, bavail }: Disk): { ok: boolean; message: string } {
  const freeMb = Math.floor((bavail * bsize) / MB);
  const leastMb = Math.min(LEAST_MB, Math.ceil((blocks * bsize * LEAST_SHARE) / MB));
  if (freeMb >= leastMb) return { ok: true, message: `${freeMb} MB are free below DATA_DIR.` };
  const message = `Only ${freeMb} MB are free below DATA_DIR, and fewer than ${leastMb} MB are soon gone. Free space, or delete deployments.`;
  return { ok: false, message };
}
