import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import type { RingCheckReport } from '../../src/contract/ring.js';
import { CheckDesk } from '../../src/ring/check-desk.js';
import { Rig } from './support/rig.js';

describe('the ring is checked', () => {
  let rig: Rig;
  let desk: CheckDesk;

  beforeEach(() => {
    rig = new Rig().open();
    rig.ring.setProtections([]);
    rig.begin('a.main');
    rig.begin('a.sub');
    rig.record(65);
    desk = new CheckDesk(rig.ring, systemClock());
  });

  afterEach(() => rig.remove());

  function check(ask: { level?: 'presence' | 'hash'; rebuild?: boolean } = {}): RingCheckReport {
    desk.start({ level: ask.level ?? 'hash', rebuild: ask.rebuild ?? false });
    while (desk.step(5)) rig.ring.tick();
    return desk.report!;
  }

  const kinds = (report: RingCheckReport): string[] => report.findings.map((f) => `${f.kind} ${f.stream} ${f.seq}`);
  const file = (stream: string, seq: number): string => join(rig.directory, 'media', stream, '000000', `${seq}.mp4`);

  test('what is whole has no differences, and every byte was read; recording went on', () => {
    const report = check();
    expect(report).toMatchObject({ state: 'done', findings: [], indexDamaged: false, remainingMs: 0, checked: 12 });
    const bytes = rig.files().reduce((sum, path) => sum + statSync(path).size, 0);
    expect(report.bytes).toBeGreaterThan(0);
    expect(report.bytes).toBeLessThanOrEqual(bytes);
    rig.record(1);
    expect(rig.ring.status().streams.every((s) => s.recording)).toBe(true);
  });

  test('rows without files, files without rows and wrong hashes are named, each once', () => {
    rmSync(file('a.main', 2));
    writeFileSync(file('a.main', 999), 'foreign');
    const data = readFileSync(file('a.sub', 3));
    data[data.length - 1]! ^= 1;
    writeFileSync(file('a.sub', 3), data);
    expect(kinds(check({ level: 'presence' }))).toEqual(['row_without_file a.main 2', 'file_without_row a.main 999']);
    expect(kinds(check())).toEqual(['row_without_file a.main 2', 'file_without_row a.main 999', 'damaged a.sub 3']);
  });

  test('progress grows to the whole, with the time that is left', () => {
    desk.start({ level: 'hash', rebuild: false });
    const shares: number[] = [];
    let guessed = 0;
    while (desk.step(0)) {
      const { checked, total, remainingMs } = desk.report!;
      shares.push(checked / total);
      if (remainingMs !== null) guessed++;
    }
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(new Set(shares).size).toBeGreaterThan(5);
    expect(guessed).toBeGreaterThan(5);
  });

  test('one at a time; and a disk that goes away ends it with a reason', () => {
    desk.start({ level: 'hash', rebuild: false });
    expect(() => desk.start({ level: 'hash', rebuild: false })).toThrow(
      expect.objectContaining({ code: 'CHECK_RUNNING' }),
    );
    rig.ring.dropHandles();
    while (desk.step(1));
    expect(desk.report).toMatchObject({ state: 'failed', problem: expect.stringContaining('closed') });
  });

  test('rebuilding heals an index whose rows are wrong, with the same heads', () => {
    const heads = rig.ring.heads();
    rig.ring.dropHandles();
    const db = new Database(join(rig.directory, 'ring.db'));
    db.exec('update segments set start_ms = start_ms + 1 where id = (select min(id) from segments)');
    db.close();
    rig.crash();
    desk = new CheckDesk(rig.ring, systemClock());
    expect(check()).toMatchObject({ indexDamaged: true });
    expect(check({ rebuild: true })).toMatchObject({ state: 'done', findings: [], indexDamaged: false });
    const now = rig.ring.heads();
    for (const [stream, head] of Object.entries(heads)) expect(now[stream]!.seq).toBeGreaterThanOrEqual(head.seq);
  });
});
