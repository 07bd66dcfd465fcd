import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { policyDocument, type PolicyDocument } from '../../src/contract/policy.js';
import { policyDifference } from '../../src/policy/difference.js';
import { previewTable, previewWords } from '../../src/policy/preview.js';
import { FakeBox } from './fake-box.js';
import { startWeb, type Running } from './harness.js';
import { makeLoop } from './media.js';
import { expectFitsPhone, logIn, openPhone } from './phone.js';

vi.setConfig({ testTimeout: 60_000 });

const SHOTS = process.env['BLUELIGHT_SHOTS'];
const NAMES = { 'cam-1': 'Front door', 'cam-2': 'Parking lot', 'cam-3': 'Counter' };
const NIGHT = { days: ['fri', 'sat'], from: '22:00', to: '24:00' };
const SQUARE = [[0, 0], [200, 0], [200, 300], [0, 300]]; // prettier-ignore
/** One camera with a rule, one with two, one that nobody named. */
const before = policyDocument.parse({
  version: 3,
  authority: 'owner',
  timeZone: 'America/Chicago',
  notifyDelaySeconds: 1_800,
  cameras: [
    { camera: 'cam-1', mode: 'clips', autoClips: true, hours: [NIGHT], retentionMaxDays: 30, masks: [SQUARE] },
    { camera: 'cam-2', mode: 'live', hours: [NIGHT] },
    { camera: 'cam-2', mode: 'ask' },
  ],
});

let box: FakeBox;
let running: Running;
let browser: Browser;
let page: Page;
let complaints: string[];
const previewed: PolicyDocument[] = [];

beforeAll(async () => {
  const loop = makeLoop({ width: 320, height: 180, seconds: 2 });
  box = new FakeBox(
    Object.entries(NAMES).map(([id, name]) => ({ id, name, main: loop, sub: loop, spans: [{ fromMs: Date.now() - 60_000, toMs: Date.now() }], gapReason: 'x', motion: [], online: true })), // prettier-ignore
  );
  const args = ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=s=640x360', '-frames:v', '1', '-f', 'mjpeg', 'pipe:1'];
  const jpeg = execFileSync('ffmpeg', args);
  Object.assign(box.stills, { take: async () => ({ jpeg, atMs: Date.now() }) });
  box.role = 'owner';
  box.policy = () => Promise.resolve(before as never);
  Object.assign(box.owner, {
    async preview(document: PolicyDocument) {
      previewed.push(document);
      return {
        words: previewWords(document, NAMES),
        table: previewTable(document, NAMES),
        changes: policyDifference(before, document),
      };
    },
  });
  running = await startWeb(box, { pages: true });
  ({ browser, page, complaints } = await openPhone());
  await page.goto(`https://localhost:${running.port}/#/terms`);
  await logIn(page, box.code);
  await page.waitForSelector('#terms-cam-3');
}, 90_000);

afterAll(async () => {
  await browser.close();
  box.stop();
  await running.stop();
});

const see = () => page.getByRole('button', { name: 'Show me what this means' }).click();
const change = () => page.getByRole('button', { name: 'Change something' }).click();
const shot = async (name: string): Promise<void> => {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
};

test('what nobody touches stays as it was signed; a camera that nobody named gives nothing', async () => {
  await see();
  await page.waitForSelector('#means');
  const nothing = { camera: 'cam-3', mode: 'registry', hours: [], stills: false, sightings: false, autoClips: false, retentionMaxDays: null, masks: [] }; // prettier-ignore
  expect(previewed.at(-1)).toEqual({ ...before, version: 4, cameras: [...before.cameras, nothing] });
  await change();
});

test('areas are drawn on the picture, closed, and shown again', async () => {
  const camera = page.locator('#terms-cam-3');
  await camera.getByText('Hide parts of the picture').click();
  await camera.getByRole('img', { name: /to draw on/ }).scrollIntoViewIfNeeded();
  await expect.poll(() => page.evaluate(`document.querySelector('#terms-cam-3 .masks img').naturalWidth`)).toBeGreaterThan(0); // prettier-ignore
  const canvas = camera.locator('.masks');
  const { width, height } = (await canvas.boundingBox())!;
  const tap = (x: number, y: number): Promise<void> => canvas.click({ position: { x: x * width, y: y * height } });
  await tap(0.1, 0.1);
  await tap(0.9, 0.1);
  expect(await camera.getByRole('button', { name: 'Hide this area' }).isDisabled()).toBe(true);
  await tap(0.3, 0.7);
  await camera.getByRole('button', { name: 'One corner back' }).click();
  await tap(0.5, 0.8);
  await shot('masks-drawing');
  await camera.getByRole('button', { name: 'Hide this area' }).click();
  await camera.getByRole('radio', { name: /^Recorded clips/ }).check();
  await camera.getByText('Hours, single pictures and more').click();
  await camera.getByRole('checkbox', { name: /single pictures/ }).check();
  await expectFitsPhone(page);
  await shot('masks');
  await see();
  await page.waitForSelector('#means');
  const line = previewed.at(-1)!.cameras.at(-1)!;
  expect(line).toMatchObject({ camera: 'cam-3', mode: 'clips', stills: true });
  for (const [i, want] of [
    [100, 100],
    [900, 100],
    [500, 800],
  ].entries()) {
    const [x, y] = line.masks[0]![i]!;
    expect(Math.abs(x - want[0]!)).toBeLessThan(6);
    expect(Math.abs(y - want[1]!)).toBeLessThan(6);
  }
  expect(await page.locator('#means').textContent()).toMatch(/Counter.*single pictures.*painted over in single pictures.*neither clips nor live/); // prettier-ignore
  expect(await page.locator('#choose').textContent()).toMatch(/Hidden areas: none → 1 area/);
  await shot('masks-means');
  await change();
  await camera.getByRole('button', { name: 'Show it again' }).click();
  await see();
  await page.waitForSelector('#means');
  expect(previewed.at(-1)!.cameras.at(-1)!.masks).toEqual([]);
  await change();
});

test('hours say what is wrong with them, and several rules are given up only when he chooses anew', async () => {
  const first = page.locator('#terms-cam-1');
  await first.getByText('Hours, single pictures and more').click();
  await first.locator('input[name=fri]').uncheck();
  await first.locator('input[name=sat]').uncheck();
  await see();
  await expect.poll(() => first.textContent()).toContain('Choose at least one day.');
  await first.locator('input[name=mon]').check();
  expect(await first.textContent()).not.toContain('Choose at least one day.');
  await first.locator('input[name=to]').fill('22:00');
  await see();
  await expect.poll(() => first.textContent()).toContain('From and to are the same.');
  await first.locator('input[name=to]').fill('23:30');
  const second = page.locator('#terms-cam-2');
  expect(await second.textContent()).toContain('several rules');
  await second.getByRole('button', { name: 'Choose anew' }).click();
  await second.getByRole('radio', { name: /^Ask me/ }).check();
  await see();
  await page.waitForSelector('#means');
  const { cameras } = previewed.at(-1)!;
  expect(cameras[0]!.hours).toEqual([{ days: ['mon'], from: '22:00', to: '23:30' }]);
  expect(cameras.filter(({ camera }) => camera === 'cam-2')).toMatchObject([{ mode: 'ask', hours: [] }]);
  expect(complaints).toEqual([]);
});
