import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Stills } from '../../src/clips/stills.js';
import { systemProcesses } from '../../src/base/processes.js';
import type { Polygon } from '../../src/media/mask.js';
import { verifyClip } from '../../src/proof/verify.js';
import { until } from '../center/mosquitto.js';
import { claimedBox, endBox, type ClaimedBox } from './center-rig.js';
import { clipRoom, clock } from './rig.js';
import { luma, reordered, segmentsOf, someGrant } from './still-rig.js';

const SIZE = { width: 320, height: 180 };
/** Not convex, and not along the blocks of a JPEG. */
const HIDDEN: Polygon = [
  [95, 130],
  [610, 60],
  [520, 480],
  [480, 300],
  [160, 870],
];
const never = new AbortController().signal;

/** How far the middle of a pixel lies inside of the polygon, in pixels; negative: outside. */
function depth(x: number, y: number): number {
  const at = HIDDEN.map(([px, py]) => [(px * SIZE.width) / 1_000, (py * SIZE.height) / 1_000] as const);
  let [inside, nearest] = [false, Infinity];
  for (const [i, [ax, ay]] of at.entries()) {
    const [bx, by] = at[(i + 1) % at.length]!;
    if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) inside = !inside;
    const along = Math.max(0, Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2))); // prettier-ignore
    nearest = Math.min(nearest, Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)));
  }
  return inside ? nearest : -nearest;
}

test('a masked still is black where it is hidden and the same picture where it is not', async () => {
  const footage = segmentsOf(reordered('h264', false), 0);
  const stills = new Stills({ clock, processes: systemProcesses(clock), footage, live: { subscribe: () => () => undefined } }); // prettier-ignore
  const take = (masks: readonly Polygon[]) => stills.take(someGrant().grant, 'main', 2_300, never, masks);
  const [open, masked, again] = [await take([]), await take([HIDDEN]), await take([HIDDEN])];
  expect(masked.atMs).toBe(open.atMs);
  // An upload that was interrupted goes on with the same bytes.
  expect(Buffer.from(again.jpeg).equals(masked.jpeg)).toBe(true);
  const [before, after] = [luma(open.jpeg, SIZE)[0]!, luma(masked.jpeg, SIZE)[0]!];
  let [hidden, shown, wasBright, wrong] = [0, 0, 0, 0];
  for (let y = 0; y < SIZE.height; y++) {
    for (let x = 0; x < SIZE.width; x++) {
      const at = y * SIZE.width + x;
      const deep = depth(x + 0.5, y + 0.5);
      // A block of a JPEG (8 pixels, 16 with its colours) that holds an edge rings.
      if (deep > 23) {
        if (after[at] !== 0) wrong++;
        hidden++;
        if (before[at]! > 60) wasBright++;
      } else if (deep > 0) wrong += Number(after[at]! >= 60);
      else if (deep < -23) {
        wrong += Number(Math.abs(after[at]! - before[at]!) >= 40);
        shown++;
      }
    }
  }
  expect(wrong).toBe(0);
  // There was something to hide, and something to show.
  expect(wasBright / hidden).toBeGreaterThan(0.5);
  expect(shown).toBeGreaterThan(10_000);
});

let { center, agent, signer, state, claim, ring, gate } = {} as ClaimedBox;

beforeEach(async () => {
  ({ center, agent, signer, state, claim, ring, gate } = await claimedBox());
});

afterEach(() => endBox({ center, agent, state }));

const room = (more: Parameters<typeof clipRoom>[2]): ReturnType<typeof clipRoom> =>
  clipRoom(claim, { calls: state.calls, signer, ring, gate }, more);

const request = () => ({
  camera: 'north',
  fromMs: ring.startMs + 3_400,
  toMs: ring.startMs + 3_401,
  rendition: 'stills' as const,
  priority: 'routine' as const,
  party: { kind: 'operator' as const, operator: 'o1', agency: 'pd', role: 'analyst' },
  door: 'mqtt' as const,
  reason: 'case 7',
  send: true,
});

test('a still is delivered as a picture whose manifest says of which footage it was made, and that it is masked', async () => {
  const { clips, stop } = room({ masks: () => [HIDDEN] });
  await clips.start();
  const clip = (await clips.request(request()))!;
  await until(async () => (await clips.get(clip.id))?.state === 'delivered');
  // The gate was asked for the whole segment that was read, as a still.
  const asked = {
    kind: 'still',
    masksBurned: true,
    range: { fromMs: ring.startMs + 3_000, toMs: ring.startMs + 4_000 },
  };
  expect(gate.requests).toEqual([expect.objectContaining(asked)]);
  const record = center.clips()[0]!;
  const path = center.clipPath(record.clip)!;
  expect(path).toMatch(/\.jpg$/);
  const jpeg = readFileSync(path);
  expect(gate.ends).toEqual([{ outcome: 'done', bytes: jpeg.length, why: `clip ${clip.id} delivered` }]);
  expect(execFileSync('ffprobe', ['-v', 'error', '-show_entries', 'stream=codec_name', '-of', 'csv=p=0', path]).toString().trim()).toBe('mjpeg'); // prettier-ignore
  expect(record.manifest).toMatchObject({
    rendition: 'stills',
    stream: 'main',
    derived: { masked: true },
    file: { bytes: jpeg.length },
    segments: [{ seq: 4, sha256: ring.records[3]!.sha256 }],
  });
  const { derived, covers } = record.manifest;
  expect(derived!.at >= covers.from && derived!.at < covers.to).toBe(true);
  const signed = readFileSync(path.replace(/jpg$/, 'manifest.json'), 'utf8');
  const check = (file: Uint8Array) =>
    verifyClip({
      signed,
      trusted: [signer.keyId],
      file: { size: file.length, read: (at, length) => file.subarray(at, at + length) },
    });
  const good = await check(jpeg);
  expect(good.verdict).toMatch(/^authentic/);
  expect(good.findings).toContainEqual(expect.objectContaining({ code: 'DERIVED', level: 'note' }));
  const other = Buffer.from(jpeg);
  other[jpeg.length >> 1]! ^= 1;
  expect((await check(other)).verdict).toBe('tampered');
  await stop();
});

test('other masks in the middle of an upload: nothing more of the old picture leaves, and a new one is made', async () => {
  let masks: readonly Polygon[] = [];
  let taken = 0;
  const big = (fill: number): Uint8Array => new Uint8Array(400_000).fill(fill);
  const take = (_: unknown, __: unknown, atMs: number): Promise<{ jpeg: Uint8Array; atMs: number }> =>
    Promise.resolve({ jpeg: big(++taken), atMs });
  const { clips, stop } = room({ masks: () => masks, stills: { take }, chunkBytes: 16 * 1024 });
  await clips.start();
  const clip = (await clips.request(request()))!;
  await until(async () => (await clips.get(clip.id))!.sentBytes > 0);
  masks = [HIDDEN];
  await until(async () => (await clips.get(clip.id))?.state === 'delivered', 20_000);
  expect(taken).toBeGreaterThan(1);
  const record = center.clips()[0]!;
  expect(record.manifest.derived).toMatchObject({ masked: true });
  expect(readFileSync(center.clipPath(record.clip)!).equals(big(taken))).toBe(true);
  await stop();
});

test('a pause in the middle of a still ends it at once', async () => {
  const take = (_: unknown, __: unknown, atMs: number): Promise<{ jpeg: Uint8Array; atMs: number }> =>
    Promise.resolve({ jpeg: new Uint8Array(4_000_000), atMs });
  const { clips, stop } = room({ stills: { take }, chunkBytes: 16 * 1024 });
  await clips.start();
  const clip = (await clips.request(request()))!;
  await until(async () => (await clips.get(clip.id))!.sentBytes > 0);
  gate.revoke();
  await until(async () => (await clips.get(clip.id))?.state === 'withheld', 2_000);
  expect((await clips.get(clip.id))!.detail).toMatch(/^PAUSED_BY_OWNER/);
  expect(center.clips()[0]!.state).toBe('receiving');
  await stop();
});
