import { existsSync } from 'node:fs';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import { startVirtualCenter } from '../../src/sim/center/index.js';
import { box, motion, newSigner, store, tempDir } from '../center/rig.js';
import { until } from '../center/mosquitto.js';
import { clipRoom, clock, fakeGate, fakeRing } from '../clips/rig.js';

const PAGES = fileURLToPath(new URL('../../src/sim/center/pages', import.meta.url));

test.skipIf(!existsSync('/usr/bin/chromium'))(
  'the console shows boxes, motion and clips, plays one and hashes it',
  async () => {
    const pagesDir = tempDir();
    for (const file of ['index.html', 'style.css', 'icon.svg']) cpSync(join(PAGES, file), join(pagesDir, file));
    await build({ entryPoints: [join(PAGES, 'main.ts')], outdir: pagesDir, bundle: true, format: 'esm' });
    const center = await startVirtualCenter({ clock, log: silentLog, dir: tempDir(), pagesDir });
    const signer = newSigner();
    const state = store();
    const claim = center.claimFile('main-st', 'box-1');
    const agent = box(claim, state.calls, signer);
    agent.start();
    await until(() => center.boxes().length === 1);
    const ring = fakeRing(clock.now() - 60_000);
    const room = clipRoom(claim, { calls: state.calls, signer, ring, gate: fakeGate() });
    await room.clips.start();

    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('favicon')) complaints.push(message.text());
    });
    await page.goto(center.consoleUrl);
    await page.getByText('main-st / box-1').waitFor();
    await agent.event(motion(1));
    await page.getByText('moving').first().waitFor();
    await room.clips.request({
      camera: 'north',
      fromMs: ring.startMs,
      toMs: ring.startMs + 3_000,
      rendition: 'original',
      priority: 'auto',
      party: { kind: 'agent' },
      door: 'auto',
      reason: '<img src=x onerror=alert(1)>',
      send: true,
    });
    await page.getByText('verified', { exact: true }).waitFor();
    await page.locator('#clips button').first().click();
    await until(async () => Number(await page.evaluate('document.querySelector("video").currentTime')) > 0.3);
    await page.getByRole('button', { name: 'Hash it in this browser' }).click();
    await page.getByText('equal to the manifest').waitFor();
    expect(await page.locator('main img:not(#picture)').count()).toBe(0);
    expect(complaints).toEqual([]);
    if (process.env['BLUELIGHT_SCREENSHOT'] !== undefined)
      await page.screenshot({ path: process.env['BLUELIGHT_SCREENSHOT'], fullPage: true });
    await page.setViewportSize({ width: 390, height: 800 });
    const wide = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
    expect(wide).toBe(false);
    if (process.env['BLUELIGHT_SCREENSHOT'] !== undefined)
      await page.screenshot({ path: `${process.env['BLUELIGHT_SCREENSHOT']}.phone.png`, fullPage: true });
    await browser.close();
    await room.stop();
    await agent.stop('shutdown');
    await center.close();
    state.close();
  },
  60_000,
);
