import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { ClaimedBody } from '../../src/contract/identity.js';
import { FakeBox } from './fake-box.js';
import { startWeb, type Running } from './harness.js';
import { expectFitsPhone, logIn, openPhone } from './phone.js';

vi.setConfig({ testTimeout: 60_000 });

const NOBODY: ClaimedBody = { state: 'none', site: null, box: null, center: null, detail: '' };
/** As long as a real one: two addresses, a key and a secret. */
const CLAIM = `bluelight:claim?v=1&id=rtcc&s=store-7&b=box-1&k=${'Dq3'.repeat(15).slice(0, 43)}&u=https%3A%2F%2Frtcc.example%3A9443%2F&c=${'x7'.repeat(16)}`;
const SHOTS = process.env['BLUELIGHT_SHOTS'];

let dir: string;
let box: FakeBox;
let running: Running;
let browser: Browser;
let page: Page;
const complaints: string[] = [];
const claims: string[] = [];
let claim = NOBODY;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bluelight-scan-'));
  execFileSync('qrencode', ['-o', join(dir, 'claim.png'), '-s', '6', CLAIM]);
  execFileSync('qrencode', ['-o', join(dir, 'menu.png'), '-s', '6', 'https://restaurant.example/menu']);
  // What a phone sees: the code somewhere in the picture, turned a little, for two seconds after one of nothing.
  const seen =
    '[0]scale=440:440:flags=neighbor,rotate=0.12:c=gray:ow=560:oh=560,pad=1280:720:400:90:gray,format=yuv420p';
  const ffmpeg = (args: string[]): Buffer => execFileSync('ffmpeg', ['-v', 'error', '-y', ...args]);
  ffmpeg(['-loop', '1', '-t', '2', '-r', '10', '-i', join(dir, 'claim.png'), '-filter_complex', seen, join(dir, 'camera.y4m')]); // prettier-ignore
  ffmpeg(['-i', join(dir, 'claim.png'), '-filter_complex', `${seen},scale=4000:-2`, join(dir, 'photo.jpg')]);
  ffmpeg(['-f', 'lavfi', '-i', 'color=gray:s=640x480', '-frames:v', '1', join(dir, 'nothing.jpg')]);
  writeFileSync(join(dir, 'text.jpg'), 'this is no picture');
  box = new FakeBox([]);
  box.role = 'technician';
  const show = box.identity.show;
  Object.assign(box.owner, { sharing: () => ({ enrolment: 'none', paused: false, until: null }) });
  Object.assign(box.identity, {
    show: async () => ({ ...(await show()), claim }),
    async claimQr(text: string) {
      claims.push(text);
      return (claim = { ...NOBODY, state: 'waiting', detail: 'the center has not answered yet' });
    },
  });
  running = await startWeb(box, { pages: true });
}, 60_000);

afterEach(async () => {
  await browser.close();
  claim = NOBODY;
  claims.splice(0);
});

afterAll(async () => {
  box.stop();
  await running.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** The QR form of a page whose browser has this camera. */
async function open(camera: string[], options: BrowserContextOptions = {}, before?: string): Promise<void> {
  ({ browser, page } = await openPhone({ args: camera, context: options, complaints }));
  if (before !== undefined) await page.addInitScript(before);
  await page.goto(`https://localhost:${running.port}/#/box`);
  await logIn(page, box.code);
  await page.getByRole('button', { name: 'QR code', exact: true }).click();
}

const fake = (): string[] => [
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  `--use-file-for-fake-video-capture=${join(dir, 'camera.y4m')}`,
];
const text = (): Promise<string | null> => page.locator('#claim').textContent();
const shot = async (name: string): Promise<void> => {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
};

test('the camera of the phone reads the code of the center, and the box is claimed by it', async () => {
  await open(fake());
  await expectFitsPhone(page);
  await page.getByRole('button', { name: 'Scan with the camera' }).click();
  await expect.poll(text, { timeout: 20_000 }).toContain('Waiting for the center');
  expect(claims).toEqual([CLAIM]);
});

test('a camera that is stopped, or left, is let go', async () => {
  await open([...fake().slice(0, 2)]);
  await page.evaluate(`{
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (want) => (window.stream = await open(want));
  }`);
  const live = `window.stream.getTracks().map((track) => track.readyState).join()`;
  await page.getByRole('button', { name: 'Scan with the camera' }).click();
  await page.waitForSelector('.scan video');
  await shot('scan');
  expect(await page.evaluate(live)).toBe('live');
  await page.getByRole('button', { name: 'Stop scanning' }).click();
  expect(await page.evaluate(live)).toBe('ended');
  await page.getByRole('button', { name: 'Scan with the camera' }).click();
  await page.waitForSelector('.scan video');
  await page.evaluate(`void (location.hash = '#/access')`);
  await expect.poll(() => page.evaluate(live)).toBe('ended');
  expect(claims).toEqual([]);
});

test('a photo of the code claims; another code, no code and no picture say so', async () => {
  await open([]);
  const photo = page.locator('input[name=photo]');
  expect(await photo.getAttribute('capture')).toBe('environment');
  await photo.setInputFiles(join(dir, 'menu.png'));
  await expect.poll(text).toContain('This QR code is not a claim.');
  await photo.setInputFiles(join(dir, 'nothing.jpg'));
  await expect.poll(text).toMatch(/No QR code was found.*closer.*Or paste/);
  await photo.setInputFiles(join(dir, 'text.jpg'));
  await expect.poll(text).toContain('no picture that the browser can read');
  await shot('scan-photo');
  expect(claims).toEqual([]);
  await photo.setInputFiles(join(dir, 'photo.jpg'));
  await expect.poll(text, { timeout: 20_000 }).toContain('Waiting for the center');
  expect(claims).toEqual([CLAIM]);
});

test('where there is no camera, or none for this page, it says so and the text can be pasted', async () => {
  await open([]);
  await page.getByRole('button', { name: 'Scan with the camera' }).click();
  await expect.poll(text).toMatch(/no camera|may not use the camera/);
  expect(await text()).toMatch(/take a photo, or paste the text/);
  await page.evaluate(`Object.defineProperty(navigator, 'mediaDevices', { value: undefined })`);
  await page.getByRole('button', { name: 'Scan with the camera' }).click();
  await expect.poll(text).toContain('gives this page no camera');
  await page.fill('textarea[name=qr]', CLAIM);
  await page.getByRole('button', { name: 'Claim this box' }).click();
  await expect.poll(text).toContain('Waiting for the center');
  expect(claims).toEqual([CLAIM]);
});

test('a browser that reads codes itself is asked first', async () => {
  const own = `globalThis.BarcodeDetector = class {
    static getSupportedFormats = async () => ['qr_code'];
    detect = async () => [{ rawValue: ${JSON.stringify(CLAIM)} }];
  };`;
  await open([], {}, own);
  await page.locator('input[name=photo]').setInputFiles(join(dir, 'nothing.jpg'));
  await expect.poll(text).toContain('Waiting for the center');
  expect(claims).toEqual([CLAIM]);
  expect(complaints).toEqual([]);
});
