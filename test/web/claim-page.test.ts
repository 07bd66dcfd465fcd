import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import type { ClaimedBody } from '../../src/contract/identity.js';
import { FakeBox } from './fake-box.js';
import { startWeb, type Running } from './harness.js';
import { makeLoop } from './media.js';
import { expectFitsPhone, logIn, openPhone } from './phone.js';

vi.setConfig({ testTimeout: 60_000 });

const NOBODY: ClaimedBody = { state: 'none', site: null, box: null, center: null, detail: '' };
const THEIRS = 'D7F3 09AB 44C1 8E20 5B6D';
const FILE = {
  schema: 1,
  site: 'store-7',
  box: 'box-1',
  center: { id: 'rtcc', broker: 'mqtts://c:8883', upload: 'https://c/files', key: 'B'.repeat(43) },
};
/** Pictures of the page for a person to look at: `BLUELIGHT_SHOTS=/tmp/shots`. */
const SHOTS = process.env['BLUELIGHT_SHOTS'];

let box: FakeBox;
let running: Running;
let browser: Browser;
let page: Page;
let complaints: string[];
const did: [string, unknown][] = [];
const state = { claim: NOBODY, enrolment: 'none' as 'none' | 'active' | 'ended', refuse: null as Error | null };

beforeAll(async () => {
  const loop = makeLoop({ width: 320, height: 180, seconds: 2 });
  box = new FakeBox([
    { id: 'cam-1', name: 'Front door', main: loop, sub: loop, spans: [], gapReason: 'x', motion: [], online: true },
  ]);
  box.role = 'technician';
  const claim = async (how: string, body: unknown): Promise<ClaimedBody> => {
    did.push([how, body]);
    if (state.refuse !== null) throw state.refuse;
    return (state.claim = { ...NOBODY, state: 'waiting', detail: 'the center has not answered yet' });
  };
  const show = box.identity.show;
  Object.assign(box.owner, { sharing: () => ({ enrolment: state.enrolment, paused: false, until: null }) });
  Object.assign(box.identity, {
    show: async () => ({
      ...(await show()),
      claim: state.claim,
      centerFingerprint: state.claim.state === 'active' ? THEIRS : null,
    }),
    async look(address: string | undefined) {
      did.push(['look', address]);
      if (state.refuse !== null) throw state.refuse;
      return { address: `https://${address}`, center: 'rtcc', fingerprint: THEIRS };
    },
    claimFile: (body: unknown) => claim('file', body),
    claimQr: (text: string) => claim('qr', text),
    claimCode: (body: unknown) => claim('code', body),
    async cancelClaim() {
      did.push(['cancel', null]);
      return (state.claim = NOBODY);
    },
  });
  running = await startWeb(box, { pages: true });
  ({ browser, page, complaints } = await openPhone({ expected: /status of (4\d\d|503)/ }));
  await page.goto(`https://localhost:${running.port}/`);
  await logIn(page, box.code);
  await page.waitForSelector('.tile');
  await page.evaluate(`void (location.hash = '#/box')`);
  await page.waitForSelector('#claim form');
}, 90_000);

afterAll(async () => {
  await browser.close();
  box.stop();
  await running.stop();
});

const text = (): Promise<string | null> => page.locator('#claim').textContent();
const button = (name: string) => page.locator('#claim').getByRole('button', { name, exact: true });
const shot = async (name: string): Promise<void> => {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
};
/** The claim that was made waits, as it says; then it is taken back. */
const waitsAndIsTakenBack = async (): Promise<void> => {
  await expect.poll(text).toContain('Waiting for the center');
  expect(await text()).toContain('The center has not answered yet.');
  await button('Take the claim back').click();
  await page.waitForSelector('#claim form');
  expect(did.at(-1)).toEqual(['cancel', null]);
};

test('a box that is nobody’s is claimed by a file, chosen or pasted; what is no claim file says so', async () => {
  expect(await text()).toMatch(/Claimed by nobody.*Key of this box: AAAA BBBB/);
  await shot('claim-file');
  await page.fill('#claim textarea', '{"schema": 1, "site"');
  await button('Claim this box').click();
  await expect.poll(text).toMatch(/not the text of a claim file.*from the first { to the last }/);
  await page.fill('#claim textarea', JSON.stringify({ ...FILE, site: 'No Slug' }));
  await button('Claim this box').click();
  await expect.poll(text).toMatch(/body site.*Compare it with what the center gave/);
  expect(did).toEqual([]);
  await page.setInputFiles('#claim input[type=file]', {
    name: 'claim.json',
    mimeType: 'application/json',
    buffer: Buffer.from(JSON.stringify(FILE)),
  });
  await expect.poll(() => page.inputValue('#claim textarea')).toContain('store-7');
  await button('Claim this box').click();
  await waitsAndIsTakenBack();
  expect(did[0]).toEqual(['file', FILE]);
});

test('the text of the QR code claims', async () => {
  await button('QR code').click();
  await page.fill('#claim textarea', ' bluelight:claim?a=x&k=y&s=z ');
  state.refuse = new BluelightError('CLAIM_USED', 'the center refused the claim: used', { fix: 'ask for a new claim' });
  await button('Claim this box').click();
  await expect.poll(text).toMatch(/the center refused the claim: used.*ask for a new claim/);
  await shot('claim-refused');
  state.refuse = null;
  await button('Claim this box').click();
  await waitsAndIsTakenBack();
  expect(did.at(-2)).toEqual(['qr', 'bluelight:claim?a=x&k=y&s=z']);
});

test('a typed code goes nowhere before somebody compared the fingerprint', async () => {
  did.splice(0);
  await button('Typed code').click();
  await page.fill('#claim input[name=code]', 'K7QM');
  await page.fill('#claim input[name=address]', 'center.example');
  await button('See who answers').click();
  await expect.poll(text).toContain('A code has eight letters and digits.');
  await page.fill('#claim input[name=code]', 'k7qm-2xtd');
  await button('See who answers').click();
  await expect.poll(text).toContain('rtcc answers at https://center.example.');
  expect(await page.locator('#claim .compare code').textContent()).toBe(THEIRS);
  await shot('claim-compare');
  await button('No, it differs').click();
  await expect.poll(text).toMatch(/Do not go on. Nothing was sent.*call the center/);
  expect(did).toEqual([['look', 'center.example']]);
  // Another address: what was compared before counts no more.
  await page.fill('#claim input[name=address]', 'other.example');
  expect(await page.locator('#claim .compare').count()).toBe(0);
  await button('See who answers').click();
  await button('Yes, claim this box').click();
  await waitsAndIsTakenBack();
  expect(did.at(-2)).toEqual(['code', { address: 'https://other.example', fingerprint: THEIRS, code: 'k7qm-2xtd' }]);
});

test('without the center in reach the fingerprint is typed, and the claim completes later', async () => {
  await button('Typed code').click();
  await page.fill('#claim input[name=code]', 'K7QM-2XTD');
  await page.fill('#claim input[name=address]', 'center.example');
  state.refuse = new BluelightError('CENTER_UNREACHABLE', 'the center does not answer', { retryable: true, fix: 'x' });
  await button('See who answers').click();
  await expect.poll(text).toMatch(/the center does not answer.*Check the address and the uplink/);
  state.refuse = null;
  await page.fill('#claim input[name=fingerprint]', THEIRS);
  await button('Claim as soon as the center answers').click();
  await waitsAndIsTakenBack();
  expect(did.at(-2)).toEqual(['code', { address: 'center.example', fingerprint: THEIRS, code: 'K7QM-2XTD' }]);
});

test.each(['light', 'dark'] as const)('fits a phone in %s', async (scheme) => {
  await page.emulateMedia({ colorScheme: scheme });
  for (const way of ['File', 'QR code', 'Typed code']) {
    await button(way).click();
    await expectFitsPhone(page);
  }
  await page.fill('#claim input[name=code]', 'K7QM-2XTD');
  await page.fill('#claim input[name=address]', 'center.example');
  await button('See who answers').click();
  await page.waitForSelector('#claim .compare');
  await expectFitsPhone(page);
  await shot(`claim-${scheme}`);
});

test('it follows by itself: taken, claimed by whom with which key, ended', async () => {
  state.claim = { state: 'pending', site: 'store-7', box: 'box-1', center: 'rtcc', detail: '' };
  await expect.poll(text, { timeout: 10_000 }).toContain('Taken by the center');
  state.claim = { ...state.claim, state: 'active' };
  state.enrolment = 'active';
  await expect.poll(text, { timeout: 10_000 }).toMatch(/Claimed by rtcc.*box-1 of store-7.*D7F3 09AB 44C1 8E20 5B6D/);
  expect(await page.locator('#claim form, #claim button').count()).toBe(0);
  await expectFitsPhone(page);
  await shot('claim-active');
  state.claim = NOBODY;
  state.enrolment = 'ended';
  await expect.poll(text, { timeout: 10_000 }).toContain('No longer with a center');
  expect(await button('Claim this box').count()).toBe(1);
});

test('a center that claimed the box before anybody consented can be left; a box that is nobody’s has none to leave', async () => {
  const leave = page.getByRole('button', { name: 'Leave…' });
  const openAccess = async (): Promise<void> => {
    await page.evaluate(`void (location.hash = '#/box')`);
    await page.waitForSelector('#claim h2');
    await page.evaluate(`void (location.hash = '#/access')`);
    await page.waitForSelector('#leave');
  };
  state.enrolment = 'none';
  await openAccess();
  expect(await leave.count()).toBe(0);
  state.claim = { state: 'pending', site: 'store-7', box: 'box-1', center: 'rtcc', detail: '' };
  await openAccess();
  expect(await leave.count()).toBe(1);
  // Left once and claimed anew: nobody has consented again, and it can be left again.
  state.enrolment = 'ended';
  await openAccess();
  expect(await leave.count()).toBe(1);
  expect(await page.locator('#sharing').textContent()).toContain('No terms are in force');
  state.claim = NOBODY;
  await openAccess();
  expect(await leave.count()).toBe(0);
  expect(await page.locator('#sharing').textContent()).toContain('You have left');
});

test('no error of the page or the browser', () => {
  expect(complaints).toEqual([]);
});
