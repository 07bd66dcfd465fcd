import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { EvidenceBox } from '../proof/delivered.js';
import { footage } from '../ring/support/media.js';
import { makeLoop } from './media.js';
import { rangeText, serveFootage, type FootageServer } from './real-footage.js';

/**
 * Whoever looks for a moment sees that moment: each picture of the recording carries its own time, ten bars of light
 * and dark that count tenths of a second since the camera came.
 */
vi.setConfig({ testTimeout: 60_000 });

const BARS = 10;
/** Picture by picture at ten a second; a player may show the neighbour of the one that was asked for. */
const NEAR_MS = 100;
const dir = mkdtempSync(join(tmpdir(), 'scrub-'));
const film = join(dir, 'time.mp4');
let source: EvidenceBox;
let server: FootageServer;
let browser: Browser;
let page: Page;
/** Milliseconds since the start at which the camera came, for each recording. */
const runs = [0, 70_000];

beforeAll(async () => {
  const bars = `geq=lum='if(mod(floor(round(T*10)/pow(2,floor(X/16))),2),220,30)':cb=128:cr=128`;
  const scene = ['-f', 'lavfi', '-i', `color=size=${BARS * 16}x96:rate=10`, '-vf', bars, '-t', '60'];
  const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '10', '-pix_fmt', 'yuv420p'];
  const movie = ['-video_track_timescale', '90000', '-movflags', 'frag_keyframe+empty_moov+default_base_moof'];
  execFileSync('ffmpeg', ['-v', 'error', ...scene, ...encode, ...movie, film]);
  footage(film);
  source = new EvidenceBox({ segmentMs: 2_000 });
  source.record(40).gap(30).record(30);
  const loop = makeLoop({ width: 160, height: 96, seconds: 2 });
  const span = { fromMs: source.startMs, toMs: source.startMs + 100_000 };
  server = await serveFootage(source.footage, {
    pages: true,
    cams: [{ id: 'door', name: 'Door', main: loop, sub: loop, spans: [span], gapReason: '', motion: [], online: true }],
  });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
}, 60_000);

afterAll(async () => {
  await browser.close();
  await server.stop();
  source.remove();
  rmSync(dir, { recursive: true });
});

const value = <T>(expression: string): Promise<T> => page.evaluate<T>(expression);

/** Reads the bars off the picture that is shown, in ms since the camera came; null: nothing is shown. */
const shown = (video: string): Promise<number | null> =>
  value(`(() => {
    const v = document.querySelector('${video}');
    if (v === null || v.readyState < 2 || v.seeking) return null;
    const canvas = Object.assign(document.createElement('canvas'), { width: ${BARS * 16}, height: 96 });
    const draw = canvas.getContext('2d');
    draw.drawImage(v, 0, 0, canvas.width, canvas.height);
    const lit = (bar) => draw.getImageData(bar * 16 + 8, 48, 1, 1).data[1] > 128;
    return Array.from({ length: ${BARS} }, (_, bar) => (lit(bar) ? 2 ** bar : 0)).reduce((a, b) => a + b) * 100;
  })()`);

/** What the picture of a moment shows. */
const truth = (ms: number): number => ms - runs.findLast((from) => from <= ms)!;

async function shows(video: string, ms: number): Promise<void> {
  const off = async (): Promise<number> => Math.abs(((await shown(video)) ?? Infinity) - truth(ms));
  await expect
    .poll(off, { timeout: 20_000, message: `the picture of second ${ms / 1000}` })
    .toBeLessThanOrEqual(NEAR_MS);
}

test('in Chromium’s own player of HLS a seek lands on the picture of that moment', async () => {
  await page.goto(server.page);
  const statuses = new Set<number>();
  page.on('response', (answer) => {
    if (answer.url().includes('/playback.mp4')) statuses.add(answer.status());
  });
  const query = rangeText(source.startMs, { fromMs: 0, toMs: 40_000 });
  await value(`void (document.querySelector('video').src = '/api/v1/playback.m3u8?${query}')`);
  await expect.poll(() => shown('video'), { timeout: 20_000 }).not.toBeNull();
  expect(await value('document.querySelector("video").duration')).toBeCloseTo(40, 0);
  for (const ms of [33_300, 4_700, 21_050, 38_900, 500]) {
    await value(`void (document.querySelector('video').currentTime = ${ms / 1000})`);
    await shows('video', ms);
  }
  // In parts, and nothing else.
  expect([...statuses]).toEqual([206]);
  expect(await value('document.querySelector("video").error')).toBeNull();
});

test('on the page the finger on a moment shows the picture of that moment, also behind a gap', async () => {
  await page.goto(`https://localhost:${server.running.port}/`);
  await page.fill('input[name=code]', server.box.code);
  await page.click('button[type=submit]');
  await page.waitForSelector('.tile');
  for (const ms of [12_000, 35_500, 3_000, 82_400, 71_000]) {
    await value(`void (location.hash = '#/camera/door/${source.startMs + ms}')`);
    await page.waitForSelector('.player:not(.is-live)');
    await startsAt(ms);
  }
});

/** The player begins to play at once: the first picture that is seen is that of the moment, or a little behind it. */
async function startsAt(ms: number): Promise<void> {
  const late = async (): Promise<boolean> => {
    const at = await shown('.player video');
    return at !== null && at >= truth(ms) - NEAR_MS && at < truth(ms) + 2_000;
  };
  await expect.poll(late, { timeout: 20_000, interval: 20, message: `the picture of second ${ms / 1000}` }).toBe(true);
  const minutes = [ms, ms + 3_000].map((at) => new Date(source.startMs + at).toTimeString().slice(0, 5));
  const told = async (): Promise<boolean> => {
    const clock = await page.locator('.player .clock').textContent();
    return minutes.some((minute) => clock?.includes(minute));
  };
  await expect.poll(told, { message: `the clock tells ${minutes[0]}` }).toBe(true);
}
