import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { demoBox } from './demo-box.js';
import type { FakeBox } from './fake-box.js';
import { startWeb, until, type Running } from './harness.js';

let box: FakeBox;
let running: Running;
let browser: Browser;
let context: BrowserContext;
let page: Page;
const complaints: string[] = [];
// Footage plays at its own speed, and a browser on a busy machine starts slowly.
vi.setConfig({ testTimeout: 60_000 });

const ARGS = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--no-first-run'];

beforeAll(async () => {
  box = demoBox();
  // A name out of a camera must stay text.
  box.cams[2]!.name = '<img src=x onerror="document.title=1">';
  running = await startWeb(box, { pages: true });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ARGS });
  context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 390, height: 844 },
    hasTouch: true,
  });
  page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted Type/i.test(message.text())) complaints.push(message.text());
  });
  await page.goto(`https://localhost:${running.port}/`);
}, 60_000);

afterAll(async () => {
  await browser.close();
  box.stop();
  await running.stop();
});

// Expressions for the page are strings: the types of a browser do not belong among those of the agent.
const value = <T>(expression: string): Promise<T> => page.evaluate<T>(expression);
const becomes = async (expression: string, ms = 15_000): Promise<void> => {
  await expect.poll(() => value(expression), { timeout: ms, message: expression }).toBe(true);
};
const goTo = (hash: string): Promise<void> => value(`void (location.hash = ${JSON.stringify(hash)})`);
const video = (selector: string): string => `document.querySelector(${JSON.stringify(selector)})`;

/** The picture really moves: decoded, and its time goes on. */
async function advances(selector: string): Promise<void> {
  await becomes(`(${video(selector)}?.readyState ?? 0) >= 3`);
  const before = await value<number>(`${video(selector)}.currentTime`);
  await becomes(`${video(selector)}.currentTime > ${before + 0.7}`);
}

test('a wrong code is told in words with the fix, the right one opens the cameras', async () => {
  await page.fill('input[name=code]', 'guess');
  await page.click('button[type=submit]');
  await expect.poll(() => page.locator('.note').textContent()).toContain('Type the code as it is written');
  await page.fill('input[name=code]', box.code);
  await page.click('button[type=submit]');
  await page.waitForSelector('.tile');
  expect(await page.locator('.tile').count()).toBe(4);
});

test('cameras in view play live from the substream; those out of view take no connection', async () => {
  const first = '.tile:nth-child(1) video';
  await advances(first);
  expect(await value(`${video(first)}.videoWidth`)).toBe(640);
  expect(box.viewers).toBeLessThan(4);
  expect(box.asked.filter((request) => request.kind === 'live').every((request) => request.door === 'page')).toBe(true);
});

test('states, problems with their fix, and motion as it happens', async () => {
  expect(await page.locator('.problems').textContent()).toContain('Check its power and network cable');
  expect(await page.locator('.tile:nth-child(4) .badge').first().textContent()).toMatch(/Offline.*for 1\d.min/);
  expect(await page.locator('.overall').textContent()).toBe('3 of 4 recording');
  const motion = page.locator('.tile:nth-child(1) .badge.moving');
  expect(await motion.isVisible()).toBe(false);
  const event = { ...box.cams[0]!.motion[0]!, id: '01KBMX00000000000000000000', phase: 'start' as const, end: null };
  box.emit({ type: 'motion', data: event });
  await expect.poll(() => motion.isVisible()).toBe(true);
  box.emit({ type: 'motion', data: { ...event, phase: 'end', end: new Date().toISOString() } });
  await expect.poll(() => motion.isVisible()).toBe(false);
});

test('a camera opens large in its main stream; the finger on the timeline plays from the ring', async () => {
  await page.click('.tile:nth-child(1)');
  await advances('.player video');
  expect(await value(`${video('.player video')}.videoWidth`)).toBe(1280);
  await page.waitForSelector('.events .row');
  const line = (await page.locator('.timeline').boundingBox())!;
  box.asked.length = 0;
  // Three quarters of the last hour: 15 minutes ago, where there is footage.
  await page.mouse.click(line.x + line.width * 0.75, line.y + line.height * 0.6);
  await until(() => box.asked.some((request) => request.kind === 'playback'), 'the gate being asked for playback');
  const asked = box.asked.find((request) => request.kind === 'playback')!;
  expect(Math.abs(asked.range.fromMs - (Date.now() - 15 * 60_000))).toBeLessThan(20_000);
  await page.waitForSelector('.player:not(.is-live)');
  await advances('.player video');
  const shown = await page.locator('.player .clock').textContent();
  const wall = new Date(asked.range.fromMs).toTimeString().slice(0, 5);
  expect([wall, new Date(asked.range.fromMs + 60_000).toTimeString().slice(0, 5)]).toContain(shown!.slice(0, 5));
});

test('playback steps over a gap and says why', async () => {
  const gap = box.cams[0]!.spans[1]!.toMs;
  await goTo(`#/camera/cam-1/${gap - 4_000}`);
  await page.waitForSelector('.player .toast:not([hidden])', { timeout: 15_000 });
  expect(await page.locator('.player .toast').textContent()).toContain('the camera sent no pictures');
  await advances('.player video');
});

test('playback goes on by itself over a connection that broke', async () => {
  const { segment } = box.footage;
  let served = 0;
  // What was played before may still be on its way.
  const before = box.given.length;
  box.footage.segment = async (...args) => {
    const mine = box.given.slice(before).some(({ abort }) => abort.signal === args[0].signal);
    if (!mine || ++served !== 2) return segment(...args);
    // The first one has arrived and is being played by then.
    await becomes(`${video('.player video')}.currentTime > 0`);
    throw new TypeError('the disk hiccups');
  };
  const at = box.cams[0]!.spans[1]!.fromMs + 60_000;
  box.asked.length = 0;
  await goTo(`#/camera/cam-1/${at}`);
  const asked = (): number => box.asked.filter((request) => request.kind === 'playback').length;
  // One segment of 10 s is played, then the rest is asked for anew.
  await expect.poll(asked, { timeout: 20_000 }).toBe(2);
  box.footage.segment = segment;
  const second = box.asked.filter((request) => request.kind === 'playback')[1]!;
  expect(second.range.fromMs - at).toBeGreaterThan(8_000);
  expect(second.range.fromMs - at).toBeLessThan(11_000);
  await advances('.player video');
});

test('pause, go back and go live again', async () => {
  await goTo('#/camera/cam-2');
  await advances('.player video');
  await page.click('button[aria-label=Pause]');
  await becomes(`${video('.player video')}.paused`);
  await page.waitForSelector('.player:not(.is-live)');
  await page.click('.live-button');
  await page.waitForSelector('.player.is-live');
  await advances('.player video');
});

test('when the permission is withdrawn the picture stops and the page says so', async () => {
  box.denied.add('cam-2');
  box.given.filter((g) => g.request.kind === 'live' && g.request.camera === 'cam-2').forEach((g) => g.abort.abort());
  await expect
    .poll(() => page.locator('.player .veil').textContent(), { timeout: 8_000 })
    .toContain('The owner does not share this camera.');
  expect(box.viewers).toBe(0);
  box.denied.clear();
});

test('footage is saved as an MP4 of whole segments, and as a clip with its reason', async () => {
  await goTo('#/camera/cam-1');
  await page.waitForSelector('.player');
  await page.click('.title .save');
  const link = page.locator('dialog a.primary');
  await link.waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  expect(download.suggestedFilename()).toMatch(/^cam-1-main-\d{8}T\d{6}Z-\d{8}T\d{6}Z\.mp4$/);
  expect(await download.failure()).toBeNull();
  await expect.poll(() => box.ends).toContainEqual(expect.objectContaining({ grant: 'export', outcome: 'done' }));
  await page.fill('dialog input:not([type])', 'window broken');
  await page.click('dialog button[type=submit]');
  await page.waitForSelector('dialog .note.good');
  expect(box.asked.at(-1)).toMatchObject({ kind: 'clip', camera: 'cam-1', reason: 'window broken' });
  await page.keyboard.press('Escape');
});

test('every section fits a small phone and shows what it should', async () => {
  await page.setViewportSize({ width: 360, height: 700 });
  const words: Record<string, string> = {
    '#/': 'Parking lot',
    '#/camera/cam-1': 'Main stream',
    '#/clips': 'Withheld',
    '#/box': '21 days',
    '#/access': 'outside your hours',
    '#/add': 'Acme Dome 4',
  };
  for (const [hash, word] of Object.entries(words)) {
    await goTo(hash);
    await expect.poll(() => page.locator('main').textContent(), { message: hash }).toContain(word);
    const tooWide = await value<number>('document.documentElement.scrollWidth - innerWidth');
    expect([hash, tooWide]).toEqual([hash, 0]);
    const nameless = await value<string[]>(
      `[...document.querySelectorAll('button, a, input, video, [role=slider]')]
        .filter((e) => !e.getAttribute('aria-label') && e.textContent.trim() === '' && e.closest('label') === null)
        .map((e) => e.outerHTML)`,
    );
    expect([hash, nameless]).toEqual([hash, []]);
  }
});

test('a camera is added by its address; what it refuses is told with the fix', async () => {
  await page.fill('main form input[placeholder="192.168.1.64"]', '192.168.1.80');
  await page.fill('main form input[type=password]', 'wrong');
  await page.click('main form button[type=submit]');
  await expect.poll(() => page.locator('main form .note').textContent()).toContain('does not lock itself');
  await page.fill('main form input[type=password]', 'right');
  await page.click('main form button[type=submit]');
  await expect.poll(() => page.locator('main form .note').textContent()).toContain('Recording starts now');
  expect(box.added.at(-1)).toMatchObject({ address: '192.168.1.80', password: 'right' });
  expect(await page.content()).not.toContain('right"');
});

test('logout ends the session', async () => {
  await page.click('button[aria-label="Log out"]');
  await page.waitForSelector('input[name=code]');
  await page.reload();
  await page.waitForSelector('input[name=code]');
  expect(await page.locator('.tile').count()).toBe(0);
});

test('no script error, no breach of the content policy, no name read as HTML', async () => {
  expect(complaints).toEqual([]);
  expect(await page.title()).toBe('bluelight');
  expect(await page.locator('img').count()).toBe(0);
});
