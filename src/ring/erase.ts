import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.js';
import { fsyncDir, writeFileAtomic } from '../base/files.js';
import { BALLAST_FILE, IDENTITY_FILE } from './layout.js';

/** The order to erase, on the disk itself: a power cut after it was written ends erased all the same. */
const ORDER_FILE = 'erase.order';
/** What is erased and not yet unlinked. Nothing reads it. */
const ERASED_DIR = 'erased';
const KEPT = new Set([IDENTITY_FILE, BALLAST_FILE, ORDER_FILE, ERASED_DIR, 'lost+found']);
/** The thread records meanwhile. */
const STEP_MS = 100;

/** From here on there is no way back. */
export function orderErase(directory: string): void {
  writeFileAtomic(join(directory, ORDER_FILE), '');
}

/** Carries out an order that stands, before index and journal are opened: everything but the disk's identity goes. */
export function obeyErase(directory: string): void {
  const order = join(directory, ORDER_FILE);
  if (!existsSync(order)) return;
  const erased = join(directory, ERASED_DIR);
  mkdirSync(erased, { recursive: true, mode: 0o700 });
  // A second order may find what the first left: names must not meet.
  let number = readdirSync(erased).length;
  for (const name of readdirSync(directory).filter((one) => !KEPT.has(one))) {
    let to = join(erased, `${number}-${name}`);
    while (existsSync(to)) to = join(erased, `${++number}-${name}`);
    renameSync(join(directory, name), to);
  }
  fsyncDir(erased);
  fsyncDir(directory);
  unlinkSync(order);
  fsyncDir(directory);
}

/** Unlinks for a moment. False: nothing is left. */
export function eraseStep(directory: string, clock: Clock): boolean {
  const erased = join(directory, ERASED_DIR);
  if (!existsSync(erased)) return false;
  const until = clock.monotonic() + STEP_MS;
  const done = removeTree(erased, () => clock.monotonic() >= until);
  if (done) fsyncDir(directory);
  return !done;
}

/** False: there was no more time. */
function removeTree(path: string, late: () => boolean): boolean {
  for (const name of readdirSync(path)) {
    if (late()) return false;
    const inner = join(path, name);
    if (!statSync(inner).isDirectory()) unlinkSync(inner);
    else if (!removeTree(inner, late)) return false;
  }
  rmdirSync(path);
  return true;
}
