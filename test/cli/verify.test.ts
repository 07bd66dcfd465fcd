import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { progressBar } from '../../src/cli/progress.js';
import { EvidenceBox, writeDelivered } from '../proof/delivered.js';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'verify-cli-'));
afterAll(() => rmSync(dir, { recursive: true }));

function verify(...args: string[]): { code: number | null; out: string } {
  const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', main, 'verify', ...args], {
    encoding: 'utf8',
  });
  return { code: status, out: stdout };
}

test('a person reads what is wrong and where, what is missing, and whose footage it is', async () => {
  const box = new EvidenceBox({ segmentMs: 2_000 });
  box.record(9).gap(30).record(5).checkpoint();
  const clip = await box.deliver(3, 41);
  box.remove();
  const good = verify(writeDelivered(dir, 'good', clip), '--key', clip.key);
  expect(good).toMatchObject({ code: 0, out: expect.stringContaining('AUTHENTIC: untouched') });
  expect(good.out).toContain('; the recording has a gap\n');
  expect(good.out).toContain('Café, Haupttür (door), ');
  expect(good.out).toMatch(/GAP: nothing was recorded from \S+ to \S+: camera_offline/);
  const changed = Buffer.from(clip.bytes);
  const second = clip.manifest.segments[1]!;
  changed[second.offset + 7]! ^= 4;
  const bad = verify(writeDelivered(dir, 'bad', { ...clip, bytes: changed }), '--key', clip.key);
  expect(bad).toMatchObject({ code: 3, out: expect.stringContaining('TAMPERED') });
  expect(bad.out).toContain(
    `HASH (segment ${second.seq}, byte ${second.offset}): segment ${second.seq} (${second.from} to ${second.to})`,
  );
});

test('a bar on a terminal for what takes long, wiped off at the end', async () => {
  const clock = new FakeClock();
  const written: string[] = [];
  const out = { isTTY: true, write: (text: string) => written.push(text) };
  const bar = progressBar(clock, out);
  bar(1, 100);
  expect(written).toEqual([]);
  await clock.advance(500);
  bar(50e6, 100e6);
  bar(51e6, 100e6);
  expect(written).toEqual([expect.stringMatching(/^\r\[#{15}-{15}\] 50 % {2}.+ of .+, 1 s/)]);
  bar(100e6, 100e6);
  expect(written.at(-1)).toBe('\r\u001b[K');
  const nobody = progressBar(clock, { ...out, isTTY: false });
  await clock.advance(500);
  nobody(50, 100);
  expect(written).toHaveLength(2);
});
