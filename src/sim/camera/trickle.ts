import type { Clock } from '../../base/clock.js';

const BYTE_EVERY_MS = 250;

/** Writes bytes one at a time while `slow`, as a server that wants to hold its clients up; the rest in one. */
export async function trickle(
  clock: Clock,
  bytes: Uint8Array,
  write: (bytes: Uint8Array) => void,
  is: { slow: () => boolean; alive: () => boolean },
): Promise<void> {
  let at = 0;
  for (; at < bytes.length && is.slow() && is.alive(); at++) {
    write(bytes.subarray(at, at + 1));
    await clock.sleep(BYTE_EVERY_MS);
  }
  if (at < bytes.length && is.alive()) write(bytes.subarray(at));
}
