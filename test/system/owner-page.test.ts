import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import { Site } from '../../scripts/lib/site.js';
import type { IssuedReceiptBody } from '../../src/contract/owner.js';
import { expectFitsPhone, logIn, openPhone, PHONE } from '../web/phone.js';
import { kept } from '../support/kept.js';
import { clipOf, operatorAsks } from './operator.js';

const PASSPHRASE = 'blue lights on the corner';
/** Pictures of the page for a person to look at: `BLUELIGHT_SHOTS=/tmp/shots`. */
const SHOTS = process.env['BLUELIGHT_SHOTS'];

test(
  'a store owner does everything on a phone: claim, set-up, terms, an answer, who looked, pause, leaving',
  { timeout: 240_000 },
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'bluelight-owner-page-'));
    const cameraArgs = ['--one-scene', '--loop', '20', '--activity', '0.5'];
    const site = new Site({ dir, cameras: 1, address: '127.0.47.11', cameraArgs, cacheDir: kept('bluelight-test-footage') }); // prettier-ignore
    const { browser, page, complaints } = await openPhone({ context: { timezoneId: 'America/Chicago' } });
    try {
      const [center, { cameras }] = await Promise.all([site.startCenter(), site.startCameras()]);
      site.writeConfig();
      const { page: address, loginCode } = await site.startAgent();
      await site.adopt(cameras[0]!.xaddr, 'Counter');
      expect(await site.recording(2, 60_000)).toBeDefined();
      await page.goto(new URL('/#/box', address).href);
      await logIn(page, loginCode!);
      await page.waitForSelector('#claim h2');

      // --- claim
      await page.fill('textarea[name=claim]', readFileSync(join(dir, 'claim.json'), 'utf8'));
      await page.getByRole('button', { name: 'Claim this box' }).click();
      await says(page, '#claim', /This box is box-1 of jx-int-0042/);
      await open(page, '#/access');
      await says(page, '#start', /belongs to a centerDone.*owner is set upNext.*signed your termsTo do/);
      await looks(page, 'start');

      // --- the owner sets himself up; every field says plainly what is wrong
      await page.getByRole('button', { name: 'I am the owner' }).click();
      await page.fill('input[name=next]', 'short');
      await page.getByRole('button', { name: 'Make my key' }).click();
      await says(page, '#set-up', /Type your name\..*At least 10 characters.*not the same.*Tick this to go on/);
      await looks(page, 'set-up-wrong');
      await page.fill('input[name=owner]', '*!');
      await page.fill('input[name=next]', PASSPHRASE);
      await page.fill('input[name=again]', PASSPHRASE);
      await page.check('input[name=understood]');
      await page.getByRole('button', { name: 'Make my key' }).click();
      await says(page, '#set-up', /a name has 1 to 40 letters/);
      await page.fill('input[name=owner]', 'Ms Jones');
      await page.getByRole('button', { name: 'Make my key' }).click();

      // --- terms: chosen, seen, signed
      await page.waitForSelector('article.choose img');
      expect(await page.getByRole('radio', { name: /^Nothing/ }).isChecked()).toBe(true);
      expect(await page.inputValue('select[name=timeZone]')).toBe('America/Chicago');
      await page.getByRole('radio', { name: /^Ask me each time/ }).check();
      await page.getByText('Hours, single pictures and more').click();
      await page.getByRole('checkbox', { name: /single pictures/ }).check();
      await page.fill('input[name=retention]', 'a year');
      await page.getByRole('button', { name: 'Show me what this means' }).click();
      await says(page, '#choose', /whole number of days/);
      await page.fill('input[name=retention]', '');
      await looks(page, 'choose');
      await page.getByRole('button', { name: 'Show me what this means' }).click();
      await says(
        page,
        '#means',
        /Counter, at all times: only if you say yes each time, the city can have live pictures/,
      );
      expect(await page.locator('table td.warn').count()).toBe(3);
      await looks(page, 'means');
      await page.fill('input[name=passphrase]', 'not her passphrase');
      await page.getByRole('button', { name: 'Sign these terms' }).click();
      await says(page, '#choose', /passphrase of the owner is wrong/);
      expect((await site.cli<{ version: number }>(['policy', 'show'])).version).not.toBe(1);
      await page.fill('input[name=passphrase]', PASSPHRASE);
      await page.getByRole('button', { name: 'Sign these terms' }).click();
      await says(page, '#choose', /You have signed/);
      await looks(page, 'signed');
      await page.getByRole('link', { name: 'Go to Access' }).click();
      await says(page, '#sharing', /On/);
      expect(await page.locator('#start').count()).toBe(0);

      // --- a request arrives by itself, with its reason and pictures
      await open(page, '#/');
      const job = await operatorAsks(center.console, clipOf(Date.now(), 9_000, 3_000));
      await page
        .getByRole('link', { name: 'The city asks: 1 request waits for your answer' })
        .click({ timeout: 30_000 });
      await says(page, '#asks', /a robbery at the corner.*op-1.*rtcc.*case C-17.*Counter/);
      await until(async () => ((await page.evaluate(SHOWN)) as number) > 0 || undefined, 20_000);
      expect(await page.evaluate(SHOWN)).toBeGreaterThan(0);
      await looks(page, 'asked');
      await page.getByRole('button', { name: 'Yes, show it' }).click();
      await says(page, '#asks', /No request waits/);
      expect(await until(async () => (await stateOf(center.console, job)) === 'SUCCEEDED' || undefined, 60_000)).toBe(
        true,
      );

      // --- who looked
      await open(page, '#/');
      await open(page, '#/access');
      await page.waitForSelector('#looked');
      await says(page, '#looked', /op-1.*a robbery at the corner/);
      await looks(page, 'looked');

      // --- pause, resume, leave
      await page.selectOption('#sharing select', { label: 'Until I resume' });
      await page.getByRole('button', { name: 'Pause sharing now' }).click();
      await says(page, '#sharing', /Paused.*Nothing is shared until you resume/);
      await page.getByRole('button', { name: 'Resume sharing' }).click();
      await says(page, '#sharing', /On/);
      await page.getByRole('button', { name: 'Leave…' }).click();
      await page.getByRole('button', { name: 'Leave for good' }).click();
      await says(page, 'dialog', /You have left the program.*1 clip delivered/);
      await looks(page, 'left');
      const saved = page.waitForEvent('download');
      await page.getByRole('link', { name: 'Save the signed receipt' }).click();
      const envelope = JSON.parse(readFileSync(await (await saved).path(), 'utf8')) as IssuedReceiptBody['envelope'];
      const said = JSON.parse(Buffer.from(envelope.payload, 'base64').toString()) as IssuedReceiptBody['receipt'];
      expect(said).toMatchObject({ kind: 'exit', by: 'Ms Jones', delivered: [{ reason: 'a robbery at the corner' }] });
      await page.keyboard.press('Escape');
      await says(page, '#sharing', /You have left/);
      expect(complaints).toEqual([]);
    } finally {
      await browser.close();
      await site.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
);

/** Pictures of the request that really are there. */
const SHOWN = `[...document.querySelectorAll('#asks img')].filter((img) => img.complete && img.naturalWidth > 0).length`;

async function says(page: Page, selector: string, words: RegExp): Promise<void> {
  await expect.poll(() => page.locator(selector).first().textContent(), { timeout: 30_000 }).toMatch(words);
}

async function open(page: Page, hash: string): Promise<void> {
  await page.evaluate(`void (location.hash = ${JSON.stringify(hash)})`);
  await page.waitForSelector('#content main');
}

/** Fits a phone; and pictures of it at a phone and at a desk, if somebody wants to look. */
async function looks(page: Page, name: string): Promise<void> {
  await expectFitsPhone(page);
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  for (const viewport of [{ width: 1280, height: 900 }, PHONE]) {
    await page.setViewportSize(viewport);
    await page.screenshot({ path: join(SHOTS, `${name}-${viewport.width}.png`), fullPage: true });
  }
}

async function stateOf(console: string, id: string): Promise<string | undefined> {
  const response = await fetch(`${console}api/jobs`);
  const { jobs } = (await response.json()) as { jobs: { job: string; message: { state: string } | null }[] };
  return jobs.find(({ job }) => job === id)?.message?.state;
}
