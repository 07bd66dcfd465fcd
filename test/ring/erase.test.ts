import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { orderErase } from '../../src/ring/erase.js';
import { checkClosed, filesBelow, Rig } from './support/rig.js';

let rig: Rig;
afterEach(() => rig.remove());

const FROM = 0;
const TO = 4e12;
const spans = (): unknown[] => rig.ring.coverage('door.main', FROM, TO).spans;

/** Half a minute of two streams, some of it held, and an index that was once put aside. */
function recorded(): Rig {
  rig = new Rig().open();
  rig.begin('door.main');
  rig.begin('door.sub');
  rig.record(35);
  rig.ring.setProtections([{ id: 'h', kind: 'hold', camera: 'door', fromMs: FROM, toMs: TO }]);
  writeFileSync(join(rig.directory, 'ring.db.damaged-1'), 'an older index');
  return rig;
}

/** Nothing of before is on the disk, and the disk is still the same one. */
function nothingOf(before: readonly string[], id: string | undefined): void {
  while (rig.ring.eraseStep());
  for (const path of before) expect(existsSync(path), path).toBe(false);
  expect(existsSync(join(rig.directory, 'erased'))).toBe(false);
  expect(filesBelow(rig.directory).filter((path) => path.endsWith('damaged-1'))).toEqual([]);
  expect(rig.ring.diskId).toBe(id);
}

test('erased is erased, held or not, and the same run records on', () => {
  recorded();
  const id = rig.ring.diskId;
  const before = rig.files();
  expect(before.length).toBeGreaterThan(4);
  rig.ring.erase();
  expect(spans()).toEqual([]);
  rig.record(25);
  rig.end('door.main');
  expect(rig.ring.coverage('door.main', FROM, TO).bytes).toBeGreaterThan(0);
  expect(checkClosed(rig, ['door.main'])).toBeGreaterThan(0);
  while (rig.ring.eraseStep());
  expect(rig.files().length).toBeLessThan(before.length);
  expect(existsSync(join(rig.directory, 'erased'))).toBe(false);
  expect(rig.ring.diskId).toBe(id);
});

test('what was erased is not said to be recorded: only new bytes on the disk are', () => {
  recorded();
  const ages = (): (number | null)[] => rig.ring.status().streams.map((stream) => stream.committedAgeMs);
  expect(ages()).toEqual([expect.any(Number), expect.any(Number)]);
  rig.ring.erase();
  expect(ages()).toEqual([null, null]);
  rig.record(5);
  expect(ages()).toEqual([expect.any(Number), expect.any(Number)]);
});

test.each(['at once', 'half moved', 'all moved, the order still there', 'half unlinked'])(
  'a kill in the middle ends erased after the restart: %s',
  (when) => {
    recorded();
    const id = rig.ring.diskId;
    const before = rig.files();
    rig.ring.dropHandles();
    orderErase(rig.directory);
    const erased = join(rig.directory, 'erased');
    const movable = readdirSync(rig.directory).filter(
      (name) => !['disk.json', 'erase.order', 'ballast'].includes(name),
    );
    if (when !== 'at once') mkdirSync(erased);
    const count = when === 'half moved' ? movable.length >> 1 : when === 'at once' ? 0 : movable.length;
    for (const [i, name] of movable.slice(0, count).entries()) {
      renameSync(join(rig.directory, name), join(erased, `${i}-${name}`));
    }
    if (when === 'half unlinked') {
      rmSync(join(rig.directory, 'erase.order'));
      rmSync(filesBelow(erased)[0]!);
    }
    rig.crash();
    expect(spans()).toEqual([]);
    nothingOf(before, id);
    rig.begin('door.main');
    rig.record(15);
    expect(rig.ring.coverage('door.main', FROM, TO).bytes).toBeGreaterThan(0);
  },
);

test('the space is freed without anybody asking for it', () => {
  recorded();
  rig.ring.erase();
  rig.record(1);
  expect(existsSync(join(rig.directory, 'erased'))).toBe(false);
});
