import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HeldState } from '../../src/store/held-state.js';
import { StateDb } from '../../src/store/state-db.js';
import { canCutPower, LoopDisk } from '../ring/support/loop-disk.js';
import { HandClock } from '../ring/support/rig.js';

describe.skipIf(!canCutPower())('state.db on a disk that fails', () => {
  let work: string;
  let disk: LoopDisk;
  let state: HeldState;
  let clock: HandClock;

  beforeEach(() => {
    work = mkdtempSync(join(tmpdir(), 'held-'));
    disk = new LoopDisk(work, 16);
    disk.mount();
    clock = new HandClock();
    state = new HeldState({ path: join(disk.directory, 'state', 'state.db') }, clock);
    state.open();
    put('before', 1);
  });

  afterEach(() => {
    state.close();
    disk.remove();
    rmSync(work, { recursive: true, force: true });
  });

  const put = (key: string, value: unknown): unknown => state.call('kv.put', { key, value });
  const get = (key: string): unknown => state.call('kv.get', key);
  const code = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      return (error as { code?: string }).code;
    }
  };

  test('after errors it is let go, so that the disk can be unmounted, and works as soon as the disk does', () => {
    disk.cutPower();
    expect(code(() => put('lost', 1))).toBe('STATE_DISK_FAILED');
    disk.umount();
    expect(code(() => put('lost', 1))).toBe('STATE_DB_UNREADABLE');
    expect(readdirSync(disk.directory)).toEqual([]);
    disk.mount();
    put('after', 2);
    expect([get('before'), get('lost'), get('after')]).toEqual([1, null, 2]);
  });

  test('a read-only disk is told, and taken again when it can be written', () => {
    execFileSync('mount', ['-o', 'remount,abort', disk.directory]);
    expect(code(() => put('lost', 1))).toMatch(/^STATE_D/);
    expect(code(() => put('lost', 1))).toMatch(/^STATE_D/);
    disk.umount();
    disk.mount();
    put('after', 2);
    expect([get('before'), get('after')]).toEqual([1, 2]);
  });

  test('a disk that is taken away while its files are open takes nothing any more; that of another box is refused', () => {
    execFileSync('umount', ['-l', disk.directory]);
    clock.pass(2_000);
    expect(code(() => put('lost', 1))).toBe('STATE_DB_UNREADABLE');
    const otherWork = mkdtempSync(join(tmpdir(), 'held-'));
    const other = new LoopDisk(otherWork, 16);
    other.mount();
    const stranger = new StateDb({ path: join(other.directory, 'state', 'state.db') });
    stranger.tables.kv.put({ key: 'whose', value: 'other' });
    stranger.close();
    other.umount();
    disk.mount(other.image);
    expect(code(() => put('whose', 'mine'))).toBe('STATE_DISK_WRONG');
    execFileSync('umount', [disk.directory]);
    other.mount();
    const seen = new StateDb({ path: join(other.directory, 'state', 'state.db') });
    expect(seen.tables.kv.get('whose')).toBe('other');
    seen.close();
    other.remove();
    rmSync(otherWork, { recursive: true, force: true });
    disk.mount();
    expect([get('before'), get('lost')]).toEqual([1, null]);
  });

  test('a full disk is told and stays open for reading', () => {
    execFileSync('sh', ['-c', `dd if=/dev/zero of=${join(disk.directory, 'foreign')} bs=4k 2>/dev/null || true`]);
    expect(code(() => put('large', 'x'.repeat(2e6)))).toBe('STATE_DISK_FULL');
    expect(get('before')).toBe(1);
    rmSync(join(disk.directory, 'foreign'));
    put('large', 'x');
    expect(get('large')).toBe('x');
  });
});
