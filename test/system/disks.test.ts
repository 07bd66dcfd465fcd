import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import type { StreamCoverage } from '../../src/contract/coverage.js';
import { StateDb } from '../../src/store/state-db.js';
import { canCutPower, LoopDisk } from '../ring/support/loop-disk.js';
import { filesBelow, Rig } from '../ring/support/rig.js';
import type { RingCheckReport } from '../../src/contract/ring.js';
import { DiskSite } from './disk-site.js';
import { segmentFiles } from './site.js';

/** What the main thread itself may be late. */
const MOST_LATE_MS = 200;
/** What is heard of it outside also waits for whoever asks, on a machine that others use; never as long as a fault. */
const MOST_HEARD_LATE_MS = 1_500;
const ALARM_MS = 10_000;
const RESUME_MS = 5_000;

/** Does harm, waits for the alarm, cures, and holds what is promised of each fault. */
async function suffer(
  site: DiskSite,
  name: string,
  fault: { alarm: RegExp; harm: () => unknown; meanwhile?: () => Promise<unknown>; cure: () => unknown },
): Promise<void> {
  const told = (): boolean => site.alarms.some((kind) => fault.alarm.test(kind));
  await until(async () => (told() ? undefined : true), 20_000);
  expect(told(), `${name}: an alarm of before`).toBe(false);
  const since = Date.now();
  await fault.harm();
  const harmed = Date.now();
  const alarmMs = (await site.heardOf(fault.alarm, since)) - (harmed - since);
  await fault.meanwhile?.();
  await fault.cure();
  const cured = Date.now();
  const status = await site.recording(20_000);
  const seenMs = Date.now() - cured;
  // A disk that just came back may not answer in time.
  const covered = await until(async () => {
    const { code, value } = await site.tryCli<StreamCoverage>(['coverage', 'cam-1', '--from', '-10m']);
    return code === 0 ? value : undefined;
  }, 10_000);
  const spans = covered?.spans ?? [];
  // By what is recorded and not by when it was seen: the first picture that reached the disk again.
  const first = spans.map((span) => Date.parse(span.from)).find((from) => from > since) ?? Infinity;
  const resumedMs = Math.max(0, Math.min(first - cured, seenMs));
  const answers = site.answersSince(since);
  console.log(name, JSON.stringify({ alarmMs, resumedMs, ...answers }));
  expect(alarmMs, `${name}: the center heard of it`).toBeLessThanOrEqual(ALARM_MS);
  expect(status, `${name}: recording again\n${site.log.slice(-3_000)}`).toBeDefined();
  expect(resumedMs, `${name}: recording again`).toBeLessThanOrEqual(RESUME_MS);
  const { loop, ...heard } = answers;
  expect(loop, `${name}: the main thread`).toBeLessThan(MOST_LATE_MS);
  for (const [what, late] of Object.entries(heard)) expect(late, `${name}: ${what}`).toBeLessThan(MOST_HEARD_LATE_MS);
  const diskProblems = async (): Promise<string[]> =>
    (await site.status()).problems.map((problem) => problem.code).filter((code) => /DISK/.test(code));
  await until(async () => ((await diskProblems()).length === 0 ? true : undefined), 10_000);
  expect(await diskProblems(), `${name}: nothing is said any more`).toEqual([]);
}

async function gapReasons(site: DiskSite): Promise<Set<string>> {
  const { code, value } = await site.tryCli<StreamCoverage>(['coverage', 'cam-1', '--from', '-10m']);
  // A disk that is slow may not answer in time.
  const gaps = code === 0 ? value.gaps : [];
  return new Set(gaps.map((gap) => gap.reason));
}

describe.skipIf(!canCutPower()).concurrent('recordings and state on a disk that fails', () => {
  test('frozen for 30 s: told at once with its age, nothing is lost, the main thread answers', async () => {
    await using site = await DiskSite.open('127.0.40.11', {});
    const { pid } = site;
    const since = Date.now();
    let frozen = since;
    await suffer(site, 'frozen', {
      alarm: /^disk\.hung$/,
      harm() {
        execFileSync('fsfreeze', ['-f', site.disk.directory]);
        frozen = Date.now();
      },
      async meanwhile() {
        const rest = frozen + 30_000 - Date.now();
        expect(await site.heardOf(/^system_disk\.hung$/, frozen)).toBeLessThanOrEqual(ALARM_MS);
        await sleep(rest);
        const { disk, streams } = await site.status();
        expect(disk.state).toBe('hung');
        for (const { state, ageMs } of streams) {
          expect(state).toBe('stalled');
          expect(ageMs).toBeGreaterThan(25_000);
        }
      },
      cure: () => execFileSync('fsfreeze', ['-u', site.disk.directory]),
    });
    const { spans, gaps } = await site.cli<StreamCoverage>([
      'coverage',
      'cam-1',
      '--from',
      new Date(since).toISOString(),
    ]);
    expect(gaps, 'half a minute waits in memory').toEqual([]);
    expect(spans).toHaveLength(1);
    expect(site.pid).toBe(pid);

    const check = (...more: string[]): Promise<{ code: number; value: RingCheckReport }> =>
      site.tryCli<RingCheckReport>(['ring', 'check', ...more]);
    expect(await check(), 'beside the running agent').toMatchObject({
      code: 0,
      value: { state: 'done', findings: [] },
    });
    expect(await check('--rebuild')).toMatchObject({ code: 0, value: { state: 'done', findings: [] } });
    expect(await site.recording(10_000), 'recording goes on').toBeDefined();
    await site.stopAgent();
    const whole = await check();
    expect(whole, 'without the agent').toMatchObject({ code: 0, value: { state: 'done', findings: [] } });
    rmSync(segmentFiles(site.ring, 'cam-1.main')[0]!);
    expect(await check('--level', 'presence')).toMatchObject({
      code: 3,
      value: { findings: [{ kind: 'row_without_file', stream: 'cam-1.main' }] },
    });
  });

  test('full, read-only, gone, swapped, slow: each is told, each ends, each gap has its reason', async () => {
    await using site = await DiskSite.open('127.0.39.11', { queue: '1MB' });
    const state = async (): Promise<string> => (await site.status()).disk.state;

    await suffer(site, 'full', {
      alarm: /^disk\.full$/,
      harm: () => site.fillUntil(async () => (await state()) === 'full'),
      cure: () => site.removeForeign(),
    });
    expect(await gapReasons(site)).toContain('disk_full');

    await suffer(site, 'read-only', {
      alarm: /^disk\.failed$/,
      harm: () => execFileSync('mount', ['-o', 'remount,abort', site.disk.directory]),
      async cure() {
        expect(await site.unmount(8_000), 'the agent holds the failed disk').toBe(true);
        site.disk.mount();
      },
    });

    const stranger = strangersDisk();
    await suffer(site, 'gone, and another one in its place', {
      alarm: /^disk\.failed$/,
      harm: () => site.disk.cutPower(),
      async meanwhile() {
        expect(await site.unmount(8_000), 'the agent holds the failed disk').toBe(true);
        expect(await until(async () => ((await state()) === 'missing' ? true : undefined), 8_000)).toBe(true);
        site.disk.mount(stranger.image);
        expect(await until(async () => ((await state()) === 'wrong' ? true : undefined), 8_000)).toBe(true);
        expect(await until(async () => (site.alarms.includes('disk.wrong') ? true : undefined), 8_000)).toBe(true);
        expect(await site.unmount(8_000), 'the agent holds a disk that is not its own').toBe(true);
      },
      cure: () => site.disk.mount(),
    });
    stranger.expectUntouched();
    expect(await gapReasons(site)).toContain('disk_failed');

    await suffer(site, 'slow', {
      alarm: /^disk\.(slow|hung)$/,
      harm: () => site.throttle(20_000),
      meanwhile: () => until(async () => ((await gapReasons(site)).has('disk_slow') ? true : undefined), 15_000),
      cure: () => site.throttle(0),
    });
    expect(await gapReasons(site)).toContain('disk_slow');
  });
});

/** The disk of another box, with recordings and state of its own. */
function strangersDisk(): { image: string; expectUntouched(): void } {
  const work = mkdtempSync(join(tmpdir(), 'bluelight-disk-'));
  const disk = new LoopDisk(work, 96);
  disk.mount();
  const ring = join(disk.directory, 'ring');
  mkdirSync(ring);
  new Rig({}, ring).open().ring.close();
  new StateDb({ path: join(disk.directory, 'state', 'state.db') }).close();
  const content = (): string[] =>
    filesBelow(disk.directory).map(
      (path) => `${path} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`,
    );
  const before = content();
  disk.umount();
  return {
    image: disk.image,
    expectUntouched() {
      disk.mount();
      expect(content()).toEqual(before);
      disk.remove();
      rmSync(work, { recursive: true, force: true });
    },
  };
}
