import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A place for what is costly to make and is used by other test files and later runs. */
export function kept(name: string): string {
  return join(process.env['BLUELIGHT_TEST_KEEP'] ?? tmpdir(), name);
}
