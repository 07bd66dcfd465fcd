import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import type { LoginsBody } from '../../src/contract/logins.js';
import { toUtc } from '../../src/contract/primitives.js';
import { FakeBox } from './fake-box.js';
import { startWeb, type Running } from './harness.js';
import { expectFitsPhone, logIn, openPhone } from './phone.js';

vi.setConfig({ testTimeout: 60_000 });

/** Pictures of the page for a person to look at: `BLUELIGHT_SHOTS=/tmp/shots`. */
const SHOTS = process.env['BLUELIGHT_SHOTS'];
const HOUR_MS = 3_600_000;

let box: FakeBox;
let running: Running;
let browser: Browser;
let page: Page;
let complaints: string[];
const did: unknown[] = [];
let ownerKey: string | null = 'A'.repeat(43);
const login = (name: string, role: 'owner' | 'technician' | 'viewer', endsMs: number | null = null) => ({
  name,
  role,
  createdAt: toUtc(Date.now() - HOUR_MS),
  expiresAt: endsMs === null ? null : toUtc(endsMs),
});
let logins: LoginsBody['logins'] = [
  login('Store owner', 'owner'),
  login('technician', 'technician', Date.now() - HOUR_MS),
  login('Cousin Ann', 'viewer'),
];

beforeAll(async () => {
  box = new FakeBox([]);
  Object.assign(box.logins, {
    list: async () => logins,
    async technicianCode(forMs: number | undefined) {
      did.push(['technician', forMs]);
      const expiresAt = Date.now() + (forMs ?? 0);
      logins = logins.map((one) => (one.role === 'technician' ? login(one.name, one.role, expiresAt) : one));
      return { code: 'K7QM-2XTD', expiresAt: toUtc(expiresAt) };
    },
    async setViewer(name: string, password: string, passphrase: string | undefined) {
      did.push(['viewer', name, password, passphrase]);
      if (password.length < 10)
        throw new BluelightError('PASSWORD_SHORT', 'a password has at least 10 characters', { fix: 'take more words' });
      logins = [...logins, login(name, 'viewer')];
    },
    async remove(name: string, passphrase: string | undefined) {
      did.push(['remove', name, passphrase]);
      logins = logins.filter((one) => one.name !== name);
    },
  });
  Object.assign(box.owner, {
    keyId: async () => ownerKey,
    async changePassphrase(before: string, after: string) {
      did.push(['passphrase', before, after]);
      if (before !== 'old words of mine')
        throw new BluelightError('PASSPHRASE_WRONG', 'the passphrase of the owner is wrong', { fix: 'try again' });
      return 'Store owner';
    },
    async lost(reason: string) {
      did.push(['lost', reason]);
      ownerKey = null;
      logins = logins.filter((one) => one.role !== 'owner');
      return { receipt: { id: '01KBRE00000000000000000001', receipt: RECEIPT, envelope: ENVELOPE }, login: null }; // prettier-ignore
    },
  });
  running = await startWeb(box, { pages: true });
  ({ browser, page, complaints } = await openPhone());
  await page.goto(`https://localhost:${running.port}/#/access`);
}, 90_000);

const ENVELOPE = { payloadType: 'x', payload: '', signatures: [{ keyid: 'A'.repeat(43), sig: '' }] };
const RECEIPT = {
  type: 'bluelight/receipt/v1',
  kind: 'exit',
  id: '01KBRE00000000000000000001',
  site: 'store-7',
  box: 'box-1',
  key: 'A'.repeat(43),
  at: toUtc(Date.now()),
  by: 'technician',
  policy: null,
  words: ['The key of the owner was given up.'],
  delivered: [],
  looks: [],
  audit: { seq: 1, link: '0'.repeat(64) },
};

afterAll(async () => {
  await browser.close();
  box.stop();
  await running.stop();
});

async function enter(role: 'owner' | 'technician'): Promise<void> {
  box.role = role;
  await logIn(page, box.code);
  await page.waitForSelector('#logins li');
}

const text = (selector: string): Promise<string | null> => page.locator(selector).first().textContent();
const button = (name: string) => page.getByRole('button', { name, exact: true });
const shot = async (name: string): Promise<void> => {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
};

test('the owner gives the technician a code that runs out; it is shown once', async () => {
  await enter('owner');
  expect(await text('#logins')).toMatch(/Store ownerOwner.*technicianTechnician · ran out.*Cousin AnnViewer/);
  await page.selectOption('#logins select', { label: '8 hours' });
  await button('Make a code').click();
  await expect.poll(() => text('#logins')).toMatch(/Good until.*K7QM-2XTD.*shown this once/);
  expect(did).toEqual([['technician', 8 * HOUR_MS]]);
  await expect.poll(() => text('#logins')).toContain('Technician · until');
  await shot('logins-code');
});

test('a viewer is let in and removed; the owner himself is not', async () => {
  await page.fill('input[name=viewer]', 'Night shift');
  await page.fill('input[name=viewer-password]', 'short');
  await button('Let log in').click();
  await expect.poll(() => text('#logins')).toMatch(/a password has at least 10 characters.*take more words/);
  await page.fill('input[name=viewer-password]', 'four words of theirs');
  await button('Let log in').click();
  await expect.poll(() => text('#logins')).toContain('Night shift may log in and look');
  expect(did.at(-1)).toEqual(['viewer', 'Night shift', 'four words of theirs', undefined]);
  expect(await page.inputValue('input[name=viewer-password]')).toBe('');
  expect(await page.locator('#logins').getByRole('button', { name: 'Remove: Store owner' }).count()).toBe(0);
  await button('Remove: Cousin Ann').click();
  expect(await text('dialog')).toContain('opens nothing any more');
  await page.locator('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
  await expect.poll(() => text('#logins ul')).not.toContain('Cousin Ann');
  expect(did.at(-1)).toEqual(['remove', 'Cousin Ann', undefined]);
});

test.each(['light', 'dark'] as const)('fits a phone in %s', async (scheme) => {
  await page.emulateMedia({ colorScheme: scheme });
  await expectFitsPhone(page);
  await shot(`logins-${scheme}`);
});

test('the owner changes his passphrase with the present one, and logs in anew', async () => {
  await page.fill('input[name=passphrase]', 'not mine');
  await page.fill('input[name=next]', 'new words of mine');
  await page.fill('input[name=again]', 'new words of mime');
  await button('Change passphrase').click();
  await expect.poll(() => text('#passphrase')).toMatch(/two new passphrases differ.*same one twice/);
  expect(did.at(-1)).not.toContain('passphrase');
  await page.fill('input[name=again]', 'new words of mine');
  await button('Change passphrase').click();
  await expect.poll(() => text('#passphrase')).toMatch(/passphrase of the owner is wrong.*try again/);
  await page.fill('input[name=passphrase]', 'old words of mine');
  await button('Change passphrase').click();
  await page.waitForSelector('input[name=code]');
  expect(did.at(-1)).toEqual(['passphrase', 'old words of mine', 'new words of mine']);
});

test('a technician at the site of an owner changes no login, and gives a lost key up', async () => {
  await enter('technician');
  expect(await text('#logins')).toContain('Only the owner changes who may log in.');
  expect(await page.locator('#logins button, #logins input, #passphrase form').count()).toBe(0);
  await expectFitsPhone(page);
  await button('It is lost…').click();
  expect(await text('dialog')).toMatch(/Sharing ends at once.*set up at the box itself/);
  await shot('logins-lost');
  await page.fill('dialog input', 'the owner forgot it');
  await button('Give the key up, end sharing').click();
  await expect.poll(() => text('dialog')).toContain('counts no more');
  expect(did.at(-1)).toEqual(['lost', 'the owner forgot it']);
  expect(await page.getByRole('link', { name: 'Save the signed receipt' }).count()).toBe(1);
  await page.keyboard.press('Escape');
  await expect.poll(() => page.locator('dialog').count()).toBe(0);
});

test('where there is no owner the technician lets viewers in, and gives himself no code', async () => {
  await expect.poll(() => page.locator('#passphrase').count()).toBe(0);
  expect(await button('Make a code').count()).toBe(0);
  expect(await button('Let log in').count()).toBe(1);
  await expect.poll(() => button('Remove: Night shift').count()).toBe(1);
});

test('no error of the page or the browser', () => {
  expect(complaints).toEqual([]);
});
