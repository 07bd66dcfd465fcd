import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import type { Clip } from '../../src/contract/clip.js';
import type { StatusBody } from '../../src/contract/http.js';
import type { CheckpointRecord } from '../../src/sim/center/index.js';
import { openSite } from './site.js';

interface Verified {
  verdict: string;
  findings: { code: string }[];
}

/** Fast enough to see several; the box makes one every five minutes otherwise. */
const QUICK = { recording: { checkpoint: '4s', segment: '2s' } };

test('from the camera to the verdict: checkpoints reach the center, and clips are proved by them', async () => {
  await using opened = await openSite({ cameras: 1, address: '127.0.7.1', settings: QUICK });
  const { site } = opened;
  const center = (await site.center.ready).console;
  const keep = mkdtempSync(join(tmpdir(), 'bluelight-proof-'));
  const status = await site.status();
  const { key } = status.box;
  const camera = status.streams[0]!.stream.split('.')[0]!;
  const checkpoints = async (): Promise<CheckpointRecord[]> => {
    const answer = await fetch(`${center}checkpoints/jx-int-0042/box-1`);
    return ((await answer.json()) as { checkpoints: CheckpointRecord[] }).checkpoints;
  };
  const verify = (path: string, ...more: string[]): Promise<{ code: number; value: Verified }> =>
    site.tryCli<Verified>(['verify', path, '--key', key, ...more]);

  // A clip of now leaves before any checkpoint vouches for its end.
  await until(async () => ((await checkpoints()).length > 1 ? true : undefined), 30_000);
  const made = await site.cli<Clip & { files: string[] }>([
    ...['clip', 'make', camera, '--from', '-6s', '--to', '-1s', '--out', keep, '--send'],
  ]);
  const sent = await until(async () => {
    const answer = await fetch(`${center}clips/${made.id}/video.mp4`);
    return answer.ok ? Buffer.from(await answer.arrayBuffer()) : undefined;
  }, 30_000);
  const video = join(keep, 'sent.mp4');
  writeFileSync(video, sent!);
  writeFileSync(
    join(keep, 'sent.manifest.json'),
    await (await fetch(`${center}clips/${made.id}/manifest.json`)).text(),
  );
  const early = await verify(video);
  expect(early.code).toBe(0);
  expect(early.value.verdict).toMatch(/^authentic/);

  // The checkpoint comes; file and manifest stay as they are.
  const anchor = await until(async () => {
    const answer = await fetch(`${center}clips/${made.id}/anchor.json`);
    return answer.ok ? await answer.text() : undefined;
  }, 30_000);
  if (early.value.verdict !== 'authentic') {
    writeFileSync(join(keep, 'sent.anchor.json'), anchor!);
    expect(await verify(video)).toMatchObject({ code: 0, value: { verdict: 'authentic' } });
  }
  const [newest] = await checkpoints();
  const checkpoint = join(keep, 'checkpoint.json');
  writeFileSync(checkpoint, JSON.stringify(newest!.envelope));
  expect(await verify(video, '--checkpoint', checkpoint)).toMatchObject({ code: 0 });

  // One byte in the middle; the finding names the segment.
  const changed = Buffer.from(sent!);
  changed[changed.length >> 1]! ^= 1;
  writeFileSync(video, changed);
  const tampered = await verify(video);
  expect(tampered).toMatchObject({ code: 3, value: { verdict: 'tampered' } });
  expect(tampered.value.findings).toContainEqual(
    expect.objectContaining({ code: 'HASH', segment: expect.any(Number) as number }),
  );

  // A clean stop makes a last checkpoint; a crash loses none that the center has; the numbers go on without a hole.
  const before = (await checkpoints())[0]!.n;
  await site.agent.stop();
  await site.startAgent();
  await until(async () => ((await checkpoints())[0]!.n >= before + 2 ? true : undefined), 30_000);
  await site.agent.stop('SIGKILL');
  await site.startAgent();
  const killed = (await checkpoints())[0]!.n;
  await until(async () => ((await checkpoints())[0]!.n >= killed + 2 ? true : undefined), 30_000);
  const all = await checkpoints();
  expect(all.filter((one) => one.problem !== null)).toEqual([]);
  expect(all.map((one) => one.n)).toEqual(all.map((_, i) => all[0]!.n - i));

  // The key is in no command line and in no log.
  const seed = readFileSync(join(site.dir, 'state', 'box.key'), 'utf8').split('\n')[1]!;
  expect(site.agent.log()).not.toContain(seed);
  expect(execFileSync('ps', ['-eo', 'args']).toString()).not.toContain(seed);
  expect((await site.tryCli<StatusBody>(['status'])).code).toBe(0);
});
