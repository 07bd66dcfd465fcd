import { createHash } from 'node:crypto';

/**
 * Tells two logins apart without telling what they are, so that a refusal is counted for the one that was refused.
 * Between parts of the running agent only: whoever finds it on a disk could try passwords against it.
 */
export function loginPrint({ username, password }: { username: string; password: string }): string {
  return createHash('sha256')
    .update(JSON.stringify([username, password]))
    .digest('hex');
}
