import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canCutPower, LoopDisk } from './support/loop-disk.js';
import { checkClosed, limits, Rig } from './support/rig.js';

/** The real thing: an ext4 that fills up, goes read-only, fails, goes away or is swapped while the ring records on it. */
describe.skipIf(!canCutPower())('on a disk that misbehaves', () => {
  let work: string;
  let disk: LoopDisk;
  let rig: Rig;

  beforeEach(() => {
    work = mkdtempSync(join(tmpdir(), 'disk-'));
    disk = new LoopDisk(work, 64);
    disk.mount();
    rig = new Rig({ ballastBytes: 4 << 20, limits: limits({ reserveBytes: 2e6, floorMs: 600_000 }) }, disk.directory);
    rig.open();
    rig.ring.setProtections([]);
    rig.begin('a.main');
    rig.begin('a.sub');
  });

  afterEach(() => {
    rig.ring.dropHandles();
    disk.remove();
    rmSync(work, { recursive: true, force: true });
  });

  /** Recording is claimed again and committed, at most `seconds` of recording after the cure. */
  function resumesWithin(seconds: number): void {
    for (let i = 0; i < seconds * 2; i++) rig.record(0.5);
    expect(rig.ring.status().state).toBe('ok');
    for (const stream of rig.ring.status().streams) {
      expect(stream).toMatchObject({ recording: true, openGap: null });
      expect(stream.committedAgeMs).toBeLessThanOrEqual(1_500);
    }
  }

  function reasons(stream: string): string[] {
    return rig.ring.coverage(stream, 0, 4e12).gaps.map((gap) => gap.reason);
  }

  test('filled by foreign data: the ring gives way, and when nothing is left to give it says so and resumes', () => {
    rig.record(120);
    const before = rig.files().length;
    const foreign = join(disk.directory, 'foreign');
    const fill = (bytes: number): unknown => execFileSync('fallocate', ['-l', String(bytes), foreign]);
    const { freeBytes } = rig.ring.status();
    fill(freeBytes! - 1_000_000);
    rig.record(10);
    expect(rig.files().length).toBeLessThan(before);
    expect(rig.ring.status().state).toBe('ok');
    // Held footage must not give way.
    rig.ring.setProtections([{ id: 'h', kind: 'hold', camera: 'a', fromMs: 0, toMs: 4e12 }]);
    writeFileSync(join(disk.directory, 'more'), '');
    execFileSync('sh', ['-c', `dd if=/dev/zero of=${join(disk.directory, 'more')} bs=64k 2>/dev/null || true`]);
    rig.record(30);
    expect(rig.ring.status()).toMatchObject({ state: 'full' });
    expect(rig.ring.status().streams.map((s) => s.openGap)).toEqual(['disk_full', 'disk_full']);
    rmSync(foreign);
    rmSync(join(disk.directory, 'more'));
    resumesWithin(5);
    expect(rig.ring.status().floorShare).toBe(1);
    expect(reasons('a.main')).toContain('disk_full');
    rig.end('a.main');
    rig.end('a.sub');
    checkClosed(rig, ['a.main', 'a.sub']);
  });

  test('read-only and back', () => {
    rig.record(25);
    // What the kernel does itself after an error (errors=remount-ro); a plain remount is refused while files are open.
    execFileSync('mount', ['-o', 'remount,abort', disk.directory]);
    rig.record(10);
    expect(rig.ring.status().state).toBe('failed');
    disk.umount();
    disk.mount();
    resumesWithin(5);
    expect(reasons('a.main')).toContain('disk_failed');
    rig.end('a.main');
    rig.end('a.sub');
    checkClosed(rig, ['a.main', 'a.sub']);
  });

  test('every call fails at once, then another mount of the same disk', () => {
    rig.record(25);
    disk.cutPower();
    rig.record(5);
    expect(rig.ring.status().state).toBe('failed');
    disk.umount();
    rig.record(3);
    // The empty mount point is not a disk.
    expect(rig.ring.status().state).toBe('missing');
    expect(readdirSync(disk.directory)).toEqual([]);
    disk.mount();
    resumesWithin(5);
    rig.end('a.main');
    rig.end('a.sub');
    checkClosed(rig, ['a.main', 'a.sub']);
    const { spans, gaps } = rig.ring.coverage('a.main', 0, rig.clock.wall);
    expect(spans).toHaveLength(2);
    expect(gaps.map((g) => g.reason)).toContain('disk_failed');
  });

  test('taken away while files are open, another disk in its place: refused and not written', () => {
    const id = rig.ring.diskId;
    rig.ring.dropHandles();
    rig.ring = rig.make({ expectDisk: id, create: false });
    rig.open();
    rig.begin('a.main');
    rig.record(12);
    execFileSync('umount', ['-l', disk.directory]);
    rig.record(4);
    expect(rig.ring.status().state).toBe('missing');
    expect(readdirSync(disk.directory)).toEqual([]);
    const otherWork = mkdtempSync(join(tmpdir(), 'disk-'));
    const other = new LoopDisk(otherWork, 16);
    other.mount();
    const stranger = new Rig({}, other.directory).open();
    stranger.ring.dropHandles();
    other.umount();
    disk.mount(other.image);
    rig.record(4);
    expect(rig.ring.status().state).toBe('wrong');
    execFileSync('umount', [disk.directory]);
    disk.mount();
    rig.record(8);
    expect(rig.ring.status().state).toBe('ok');
    expect(rig.ring.status().streams.find((s) => s.stream === 'a.main')).toMatchObject({ recording: true });
    other.remove();
    rmSync(otherWork, { recursive: true, force: true });
  });
});
