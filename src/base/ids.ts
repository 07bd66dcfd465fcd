import { randomBytes } from 'node:crypto';

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** A ULID: 48 bits of wall time and 80 random bits, Crockford base 32, sortable by time. */
export function ulid(nowMs: number): string {
  let time = Math.max(0, Math.floor(nowMs));
  let head = '';
  for (let i = 0; i < 10; i++) {
    head = CROCKFORD[time % 32]! + head;
    time = Math.floor(time / 32);
  }
  const tail = Array.from(randomBytes(16), (byte) => CROCKFORD[byte % 32]!).join('');
  return head + tail;
}

/** What may be an id in paths and topics: never a name, never something a camera chose. */
export const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
