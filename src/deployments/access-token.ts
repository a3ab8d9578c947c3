import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A deployment's own token, `mcpt_…`: opens this deployment in the gateway and nothing else. Only its hash is kept. */
export function newAccessToken(): { token: string; hash: string } {
  const token = `mcpt_${randomBytes(32).toString('base64url')}`;
  return { token, hash: digest(token).toString('hex') };
}

/** True when `token` is the one whose hash is kept; takes the same time wherever they differ. */
export function isAccessToken(token: string, hash: string): boolean {
  return timingSafeEqual(digest(token), Buffer.from(hash, 'hex'));
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
