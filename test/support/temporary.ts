import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

// Each test file has temporary files of its own, which are gone after it, whatever it forgets to remove.
const root = (process.env['BLUELIGHT_TEST_KEEP'] ??= tmpdir());
const mine = mkdtempSync(join(root, 'bl-'));
process.env['TMPDIR'] = mine;
afterAll(() => rmSync(mine, { recursive: true, force: true, maxRetries: 5 }));
