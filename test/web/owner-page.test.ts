import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { AuditEntry } from '../../src/contract/audit.js';
import type { IssuedReceiptBody } from '../../src/contract/owner.js';
import type { PolicyDocument } from '../../src/contract/policy.js';
import { toUtc } from '../../src/contract/primitives.js';
import { policyDifference } from '../../src/policy/difference.js';
import { previewTable, previewWords } from '../../src/policy/preview.js';
import { FakeBox, type FakeCamera } from './fake-box.js';
import { startWeb, type Running } from './harness.js';
import { makeLoop } from './media.js';
import { expectFitsPhone, logIn, openPhone } from './phone.js';

vi.setConfig({ testTimeout: 60_000 });

const MINUTE = 60_000;
const NAMES = { 'cam-1': 'Front door', 'cam-2': 'Parking lot', 'cam-3': 'Counter' };
/** Pictures of the page for a person to look at: `BLUELIGHT_SHOTS=/tmp/shots`. */
const SHOTS = process.env['BLUELIGHT_SHOTS'];

let box: FakeBox;
let running: Running;
let browser: Browser;
let page: Page;
let complaints: string[];
const did: string[] = [];
const state = { enrolment: 'active' as 'active' | 'ended', paused: false, until: null as string | null };

const terms = (version: number, parking: object): PolicyDocument =>
  ({
    version,
    authority: 'owner',
    timeZone: 'America/Chicago',
    notifyDelaySeconds: 0,
    cameras: [
      line('cam-1', { mode: 'clips', autoClips: true }),
      line('cam-2', { mode: 'ask', hours: [{ days: ['mon', 'fri'], from: '20:00', to: '06:00' }], ...parking }),
    ],
  }) as PolicyDocument;
const line = (camera: string, more: object): object => ({
  camera,
  mode: 'registry',
  hours: [],
  stills: false,
  sightings: false,
  autoClips: false,
  retentionMaxDays: null,
  masks: [],
  ...more,
});
const now = terms(3, {});
const proposed = terms(4, { mode: 'live', stills: true });
const preview = (document: PolicyDocument) => ({
  words: previewWords(document, NAMES),
  table: previewTable(document, NAMES),
  changes: policyDifference(now, document),
});

const ULID = (n: number): string => `01KBRE${String(n).padStart(20, '0')}`;
const issued = (kind: 'pause' | 'resume' | 'exit' | 'consent'): IssuedReceiptBody => ({
  id: ULID(1),
  receipt: {
    type: 'bluelight/receipt/v1',
    kind,
    id: ULID(1),
    site: 'store-7',
    box: 'box-1',
    key: 'A'.repeat(43),
    at: toUtc(Date.now()),
    by: 'Ms Lee',
    policy: null,
    words: ['This box has left the program. The city sees nothing of it any more, and its commands are refused.'],
    delivered: [
      {
        clip: ULID(2),
        camera: 'cam-1',
        from: toUtc(Date.now() - 90 * MINUTE),
        to: toUtc(Date.now() - 89 * MINUTE),
        sha256: null,
        bytes: 9_400_000,
        to_center: 'jackson-rtcc',
        requester: 'jdoe, JPD',
        reason: 'robbery at 5th and Main',
        at: toUtc(Date.now()),
      },
    ],
    looks: [],
    audit: { seq: 1, link: '0'.repeat(64) },
  },
  envelope: { payloadType: 'x', payload: '', signatures: [{ keyid: 'A'.repeat(43), sig: '' }] },
});

function entry(seq: number, more: Partial<AuditEntry>): AuditEntry {
  return {
    seq,
    id: ULID(seq),
    at: toUtc(Date.now() - (200 - seq) * 20 * MINUTE),
    kind: 'clip',
    outcome: 'granted',
    party: 'jdoe',
    agency: 'JPD',
    role: 'detective',
    door: 'mqtt',
    camera: 'cam-1',
    from: null,
    to: null,
    code: null,
    reason: 'robbery at 5th and Main',
    case: 'C-26-1123',
    bytes: null,
    ref: null,
    words: '2026-11-23 10:00:00: jdoe of JPD got a recorded clip.',
    link: '0'.repeat(64),
    ...more,
  };
}

beforeAll(async () => {
  const loop = makeLoop({ width: 320, height: 180, seconds: 2 });
  const spans = [{ fromMs: Date.now() - 60 * MINUTE, toMs: Date.now() }];
  const cams = Object.entries(NAMES).map(([id, name]): FakeCamera => ({
    id,
    name,
    main: loop,
    sub: loop,
    spans,
    gapReason: 'stream_stalled',
    motion: [],
    online: true,
  }));
  box = new FakeBox(cams);
  box.policy = async () => now as never;
  const asks = [
    {
      id: ULID(7),
      camera: 'cam-2',
      kind: 'clip',
      operator: 'jdoe',
      agency: 'JPD',
      role: 'detective',
      case: 'C-26-1123',
      reason: 'Car drove off after a crash',
      from: toUtc(Date.now() - 30 * MINUTE),
      to: toUtc(Date.now() - 20 * MINUTE),
      askedAt: toUtc(Date.now() - 5 * MINUTE),
      expiresAt: toUtc(Date.now() + 1_000 * MINUTE),
    },
  ];
  const proposals = [{ id: ULID(8), version: 4, note: 'for the festival', createdMs: 1, document: proposed }];
  Object.assign(box.owner, {
    keyId: () => Promise.resolve('A'.repeat(43)),
    sharing: () => state,
    preview: (document: PolicyDocument) => Promise.resolve(preview(document)),
    proposals: () => Promise.resolve(proposals.map((one) => ({ ...one, ...preview(one.document) }))),
    approvals: () => Promise.resolve(asks),
    receipts: () => Promise.resolve([{ id: ULID(1), kind: 'consent', madeMs: Date.now() - 900 * MINUTE }]),
    async answer(id: string, yes: boolean) {
      did.push(`answer ${yes ? 'yes' : 'no'}`);
      asks.splice(0);
    },
    async accept(_document: PolicyDocument, passphrase: string) {
      did.push(`accept ${passphrase}`);
      proposals.splice(0);
      return issued('consent');
    },
    async pause(untilMs: number | null, reason: string) {
      did.push(`pause ${untilMs === null ? 'open' : Math.round((untilMs - Date.now()) / MINUTE)} ${reason}`.trim());
      Object.assign(state, { paused: true, until: untilMs === null ? null : toUtc(untilMs) });
      return issued('pause');
    },
    async resume() {
      did.push('resume');
      Object.assign(state, { paused: false, until: null });
      return issued('resume');
    },
    async optOut({ recordings }: { recordings: string }) {
      did.push(`leave ${recordings}`);
      state.enrolment = 'ended';
      const nobody = { state: 'none' as const, site: null, box: null, center: null, detail: '' };
      const shown = await box.identity.show();
      box.identity.show = async () => ({ ...shown, claim: nobody });
      return issued('exit');
    },
  });
  box.auditList.push(
    entry(199, { kind: 'clip' }),
    entry(198, { outcome: 'done', ref: ULID(199), bytes: 9_400_000 }),
    entry(197, { kind: 'live', outcome: 'refused', code: 'OUTSIDE_HOURS', camera: 'cam-2', case: null }),
    entry(196, { kind: 'login.login', outcome: 'refused', party: 'somebody at 192.168.1.9', agency: null, words: '2026-11-23 09:00:00: somebody at 192.168.1.9 tried to log in with a wrong code', camera: null }), // prettier-ignore
    entry(195, { party: 'agent', agency: null, role: null, door: 'auto', reason: 'motion', case: null }),
  );
  running = await startWeb(box, { pages: true });
  ({ browser, page, complaints } = await openPhone({ expected: /status of (401|404|422)/ }));
  await page.goto(`https://localhost:${running.port}/`);
  await logIn(page, box.code);
  await page.waitForSelector('.tile');
  await page.evaluate(`void (location.hash = '#/access')`);
  await page.waitForSelector('#sharing');
}, 90_000);

afterAll(async () => {
  await browser.close();
  box.stop();
  await running.stop();
});

const text = (selector: string): Promise<string | null> => page.locator(selector).first().textContent();
const shot = async (name: string): Promise<void> => {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
};

test('what the city can see stands there in words and as a table', async () => {
  await expect.poll(() => text('#terms')).toContain('Front door, at all times: the city can have');
  expect(await text('#terms')).toContain('only if you say yes each time');
  expect(await page.locator('#terms tbody tr').count()).toBe(3);
  expect(await text('#terms tbody tr:nth-child(2)')).toContain('If you say yes');
  expect(await text('#terms tbody tr:nth-child(3)')).toMatch(/Counter.*No.*No.*No/);
  await shot('access');
});

test('who looked and when: persons, what, why, bytes, refusals; and as a week, a year, and checked', async () => {
  await expect.poll(() => page.locator('#looked article').count()).toBe(3);
  const first = await text('#looked article:nth-child(1)');
  expect(first).toMatch(/jdoe, JPD.*Clip.*Front door.*9\.4.MB.*robbery at 5th and Main.*case C-26-1123.*Allowed/);
  expect(await text('#looked article:nth-child(2)')).toMatch(/Live picture.*Parking lot.*Refused.*outside your hours/);
  expect(await text('#looked article:nth-child(3)')).toContain('Sent to the city, as you agreed');
  await page.click('#looked .choice button:nth-child(3)');
  await expect.poll(() => text('#looked')).toContain('Somebody at 192.168.1.9 tried to log in with a wrong code');
  expect(box.auditAsked.at(-1)).toMatchObject({ about: 'everything' });
  expect(await text('#looked')).toContain('People outside looked 3 times');
  await page.getByRole('button', { name: 'Show the numbers' }).click();
  await expect.poll(() => page.locator('#looked .sentences').count()).toBe(2);
  await page.getByRole('button', { name: 'Check now' }).click();
  await expect.poll(() => text('#looked .note.good')).toContain('All 5 lines are there');
});

test('a request is answered with its reason before the eyes', async () => {
  expect(await text('#asks')).toMatch(
    /Car drove off after a crash.*jdoe · JPD · detective · case C-26-1123.*Parking lot/,
  );
  await page.getByRole('button', { name: 'Yes, show it' }).click();
  await expect.poll(() => text('#asks')).toContain('No request waits');
  expect(did).toEqual(['answer yes']);
});

test('a proposal is shown as what would be different, and only the passphrase signs it', async () => {
  const shown = await text('#proposals');
  expect(shown).toMatch(/Parking lot.*They see more.*only if you say yes each time.*live and clips/);
  expect(shown).toContain('for the festival');
  await page.fill('#proposals input[name=passphrase]', 'my own words');
  await page.getByRole('button', { name: 'Sign these terms' }).click();
  await expect.poll(() => page.locator('#proposals').isHidden()).toBe(true);
  expect(did.at(-1)).toBe('accept my own words');
});

test('sharing is paused for 15 minutes or until resumed, and resumed', async () => {
  await page.selectOption('#sharing select', { label: '15 minutes' });
  await page.fill('#sharing input', 'private party');
  await page.getByRole('button', { name: 'Pause sharing now' }).click();
  await expect.poll(() => text('#sharing')).toContain('Nothing is shared until');
  await shot('paused');
  await page.getByRole('button', { name: 'Resume sharing' }).click();
  await page.selectOption('#sharing select', { label: 'Until I resume' });
  await page.getByRole('button', { name: 'Pause sharing now' }).click();
  await expect.poll(() => text('#sharing')).toContain('Nothing is shared until you resume');
  expect(did.slice(2)).toEqual(['pause 15 private party', 'resume', 'pause open']);
  await page.getByRole('button', { name: 'Resume sharing' }).click();
  await page.waitForSelector('#sharing select');
});

test.each(['light', 'dark'] as const)(
  'fits a phone in %s: no sideways scrolling, names, contrast, size of fingers',
  async (scheme) => {
    await page.emulateMedia({ colorScheme: scheme });
    await expectFitsPhone(page);
    await shot(`access-${scheme}`);
  },
);

test('leaving says what stays where, and gives the receipt with what was delivered', async () => {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.getByRole('button', { name: 'Leave…' }).click();
  await page.waitForSelector('dialog');
  expect(await text('dialog')).toContain('stay with the city');
  await shot('leave');
  await page.getByRole('button', { name: 'Leave for good' }).click();
  await expect.poll(() => text('dialog')).toMatch(/You have left.*1 clip delivered.*Front door.*9\.4.MB.*jackson-rtcc/);
  expect(did.at(-1)).toBe('leave keep');
  await shot('left');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Save the signed receipt' }).click(),
  ]);
  expect(download.suggestedFilename()).toBe(`receipt-${ULID(1)}.json`);
  await page.keyboard.press('Escape');
  await expect.poll(() => text('#sharing')).toContain('You have left');
  expect(await page.getByRole('button', { name: 'Leave…' }).count()).toBe(0);
});

test('no error of the page or the browser', () => {
  expect(complaints).toEqual([]);
});
