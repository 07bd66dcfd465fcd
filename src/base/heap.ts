import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the heaps of this process and of the threads it starts small; to be called before much is loaded. Almost all
 * that the agent allocates is gone at once, so young generations of 32 MB swept by several threads cost more than they
 * save, and old ones fill with garbage for minutes before anybody looks. A program that computes would suffer.
 */
export function keepHeapsSmall(): void {
  const flags = ['--semi-space-growth-factor=1', '--no-parallel-scavenge', '--optimize-for-size'];
  // Megabytes; of threads only, because this thread has its heap already.
  for (const flag of [...flags, '--initial-old-space-size=16']) setFlagsFromString(flag);
}
