import { webcrypto } from 'node:crypto';

/**
 * SHA-256 on a thread of libuv's pool, so that whoever asks goes on meanwhile. What lies in `bytes` at the call counts,
 * whatever is written there later.
 */
export async function sha256Beside(bytes: Uint8Array<ArrayBuffer>): Promise<Buffer> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes));
}
