import { existsSync, mkdtempSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';

/** A new directory in memory, if four times `bytes` are free there; else undefined. To be removed by who asked for it. */
export function memoryDir(prefix: string, bytes: number): string | undefined {
  if (!existsSync(MEMORY)) return undefined;
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize >= 4 * bytes ? mkdtempSync(join(MEMORY, prefix)) : undefined;
}

/** A new directory where temporary files are kept. To be removed by who asked for it. */
export function diskDir(prefix: string): string {
  return mkdtempSync(join(tmpdir(), prefix));
}
