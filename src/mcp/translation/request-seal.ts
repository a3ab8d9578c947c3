import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PURPOSE = 'mcp-runner requestState 1';
/** Longer than any state we seal. */
const MAX_STATE_CHARS = 1000;

/** What a `requestState` of ours says; it is good for one retry of one request of one principal. */
export interface SealedState {
  /** Which parked call it belongs to. */
  handle: string;
  /** How often that call has been parked. */
  round: number;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** Of method and params. */
  digest: string;
}

/** Makes `requestState` that only this service can write and nobody but the service can read. */
export class RequestSeal {
  /** @param key 32 random bytes; states are good as long as it lives */
  constructor(private readonly key: Buffer) {
    if (key.length !== KEY_BYTES) throw new Error(`The key of a request seal must have ${KEY_BYTES} bytes`);
  }

  seal(state: SealedState, principal: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.key, nonce);
    cipher.setAAD(boundTo(principal));
    const sealed = Buffer.concat([cipher.update(JSON.stringify(state), 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64url');
  }

  /** Undefined for whatever was not sealed by us for this principal, to the byte. */
  open(text: string, principal: string): SealedState | undefined {
    if (text.length > MAX_STATE_CHARS) return undefined;
    const bytes = Buffer.from(text, 'base64url');
    // The decoder skips what is not base64url, and another text must not be as good as ours.
    if (bytes.length <= NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== text) return undefined;
    const decipher = createDecipheriv(CIPHER, this.key, bytes.subarray(0, NONCE_BYTES));
    decipher.setAAD(boundTo(principal));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      const sealed = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
      const json = Buffer.concat([decipher.update(sealed), decipher.final()]).toString('utf8');
      return JSON.parse(json) as SealedState;
    } catch {
      return undefined;
    }
  }
}

function boundTo(principal: string): Buffer {
  return Buffer.from(`${PURPOSE}\0${principal}`);
}
