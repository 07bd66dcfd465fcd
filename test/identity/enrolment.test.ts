import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { silentLog } from '../../src/base/log.js';
import {
  claimQr,
  fullFingerprint,
  readClaimQr,
  readFingerprint,
  type ClaimTicket,
} from '../../src/contract/enrolment.js';
import { BoxKey } from '../../src/identity/box-key.js';
import { Claims } from '../../src/identity/claims.js';
import { enrolHttp, type EnrolHttp } from '../../src/identity/enrol-http.js';
import { EnrolClient } from '../../src/identity/enrolment.js';
import { exchangeKeyText, openSealed, sealTo } from '../../src/proof/sealed-box.js';
import { generateKeyPairSync } from 'node:crypto';
import { startVirtualCenter, type VirtualCenter } from '../../src/sim/center/index.js';
import { localStore } from '../../src/store/local.js';
import { openState, temporaryDir } from '../store/helpers.js';

const clock = systemClock();
const dial = ({ host, port }: { host: string; port: number }) => Promise.resolve(connect({ host, port }));
const http = enrolHttp(dial);
let center: VirtualCenter;
let now = Date.parse('2026-06-03T15:00:00Z');
let boxes = 0;
const freshName = (): string => `box-${++boxes}`;

beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-enrol-'));
  center = await startVirtualCenter({ clock: { ...clock, now: () => now }, log: silentLog, dir });
});
afterAll(() => center.close());

async function box(dir = temporaryDir()) {
  const db = openState({ dir });
  const tables = localStore(db);
  const mine = { ...clock, now: () => now };
  const signer = await BoxKey.open(tables, mine);
  return { dir, db, signer, claims: new Claims(tables, mine) };
}
const client = (over: EnrolHttp = http): EnrolClient => new EnrolClient(over, clock);
const codeTicket = ({ address, code }: { address: string; code: string }): ClaimTicket => ({
  address,
  fingerprint: fullFingerprint(center.publicKey),
  secret: code.replace('-', ''),
});

test('file, QR text and typed code come to the same claim; whichever is first uses up the others', async () => {
  for (const way of ['file', 'qr', 'code'] as const) {
    const name = freshName();
    const issued = center.issue('main-st', name);
    expect(issued.code).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
    const { claims, signer } = await box();
    if (way === 'file') await claims.bind(issued.file);
    else await claims.wait(way === 'qr' ? readClaimQr(issued.qr) : codeTicket(issued));
    const { ticket } = (await claims.waiting())!;
    await claims.enrolled(await client().enrol(ticket, signer));
    expect(await claims.membership()).toMatchObject({
      claim: { state: 'pending', site: 'main-st', box: name, center: { id: 'virtual', key: center.publicKey } },
      waiting: false,
      password: expect.stringMatching(/.{20}/),
    });
    expect(center.boxes().find((one) => one.box === name)?.key).toBe(signer.keyId);
    const second = await box();
    for (const again of [readClaimQr(issued.qr), codeTicket(issued)]) {
      await expect(client().enrol(again, second.signer)).rejects.toMatchObject({ code: 'CLAIM_USED' });
    }
  }
});

test('wrong, expired and replaced claims are refused in the same words on both sides', async () => {
  const name = freshName();
  const first = center.issue('main-st', name);
  const second = center.issue('main-st', name, 60_000);
  const { signer } = await box();
  const wrong = codeTicket({ ...second, code: '0000-0000' });
  await expect(client().enrol(wrong, signer)).rejects.toMatchObject({ code: 'CLAIM_WRONG', retryable: false });
  await expect(client().enrol(readClaimQr(first.qr), signer)).rejects.toMatchObject({ code: 'CLAIM_WRONG' });
  now += 60_000;
  await expect(client().enrol(codeTicket(second), signer)).rejects.toMatchObject({ code: 'CLAIM_EXPIRED' });
  const tries = center.enrolments().filter((one) => one.key === signer.keyId);
  expect(tries.map((one) => one.outcome)).toEqual(['CLAIM_EXPIRED', 'CLAIM_WRONG', 'CLAIM_WRONG']);
  expect(center.boxes().find((one) => one.box === name)).toBeUndefined();
});

test('guessing codes is stopped before it is worth anything, for honest boxes only a minute', async () => {
  const issued = center.issue('main-st', freshName());
  const { signer } = await box();
  const answers: string[] = [];
  for (let i = 0; i < 12; i++) {
    const guess = codeTicket({ ...issued, code: `ZZZZ-ZZZ${i % 10}` });
    answers.push(await client().enrol(guess, signer).then(() => 'in', (error: { code: string }) => error.code)); // prettier-ignore
  }
  expect(answers.slice(0, 5)).toEqual(Array(5).fill('CLAIM_WRONG'));
  expect(answers.at(-1)).toBe('CENTER_UNREACHABLE');
  now += 61_000;
  await client().enrol(codeTicket(issued), signer);
});

test('another center at the address gets nothing: not the secret, not even the request', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-enrol-'));
  await using stranger = Object.assign(await startVirtualCenter({ clock, log: silentLog, dir }), {
    async [Symbol.asyncDispose]() {
      await stranger.close();
    },
  });
  const issued = center.issue('main-st', freshName());
  const { signer } = await box();
  const asked: string[] = [];
  const watched: EnrolHttp = (ask) => (asked.push(ask.method), http(ask));
  const led = { ...readClaimQr(issued.qr), address: stranger.issue('x', 'y').address };
  await expect(client(watched).enrol(led, signer)).rejects.toMatchObject({ code: 'CENTER_FOREIGN' });
  expect(asked).toEqual(['GET']);
});

test('on the wire there is neither secret nor password, and nobody can pass a sealed secret on as his own', async () => {
  const issued = center.issue('main-st', freshName());
  const { signer } = await box();
  const wire: string[] = [];
  const tapped: EnrolHttp = async (ask) => {
    const answer = await http(ask);
    wire.push(JSON.stringify(ask.json ?? ''), answer.body);
    return answer;
  };
  const ticket = readClaimQr(issued.qr);
  const claim = (await client(tapped).enrol(ticket, signer)) as { center: { password: string } };
  const decoded = wire.map(
    (text) => text + Buffer.from(text.replace(/[^A-Za-z0-9_-]/g, ''), 'base64url').toString('latin1'),
  );
  for (const secret of [ticket.secret, claim.center.password]) expect(decoded.join(' ')).not.toContain(secret);
  const reader = generateKeyPairSync('x25519').privateKey;
  const { sealed, openReply } = sealTo(exchangeKeyText(reader), 'box A', 'the secret');
  const opened = openSealed(reader, 'box A', sealed);
  expect(opened.text).toBe('the secret');
  expect(openReply(opened.reply('well'))).toBe('well');
  expect(() => openSealed(reader, 'box B', sealed)).toThrow(expect.objectContaining({ code: 'SEAL_BAD' }));
  const zero = { ...sealed, key: Buffer.alloc(32).toString('base64url') };
  expect(() => openSealed(reader, 'box A', zero)).toThrow(expect.objectContaining({ code: 'SEAL_BAD' }));
});

test('a power cut after any step leaves the box unclaimed or waiting, and the claim completes', async () => {
  for (const way of ['file', 'code'] as const) {
    const dir = temporaryDir();
    const issued = center.issue('main-st', freshName());
    const ticket = codeTicket(issued);
    // Step 1: nothing is written yet.
    const first = await box(dir);
    expect(await first.claims.waiting()).toBeNull();
    // Step 2: taken, the center not asked. Then the power goes.
    if (way === 'file') await first.claims.bind(issued.file);
    else await first.claims.wait(ticket);
    first.db.close();
    for (const file of readdirSync(dir)) expect(readFileSync(join(dir, file)).includes(ticket.secret)).toBe(false);
    const second = await box(dir);
    const waiting = (await second.claims.waiting())!;
    expect((await second.claims.membership())?.waiting ?? true).toBe(true);
    // Step 3: the center has taken the secret, its answer is lost with the power.
    await client().enrol(waiting.ticket, second.signer);
    second.db.close();
    const third = await box(dir);
    await third.claims.enrolled(await client().enrol((await third.claims.waiting())!.ticket, third.signer));
    // Step 4: written; a second writing of the same answer changes nothing.
    third.db.close();
    const fourth = await box(dir);
    const membership = (await fourth.claims.membership())!;
    expect(membership).toMatchObject({ waiting: false, claim: { state: 'pending', box: issued.box } });
    await fourth.claims.confirm(membership.claim.id);
    expect((await fourth.claims.membership())?.claim.state).toBe('active');
  }
});

test('a claim that waits can be taken back or be refused, and another one is taken then', async () => {
  const { claims, db } = await box();
  const issued = center.issue('main-st', freshName());
  await claims.bind(issued.file);
  await expect(claims.wait(codeTicket(center.issue('main-st', freshName())))).rejects.toMatchObject({
    code: 'CLAIMED',
  });
  await claims.giveUp('taken back');
  expect([await claims.membership(), await claims.waiting()]).toEqual([null, null]);
  expect(db.tables.keys.current('center')).toBeNull();
  // The same center, the same key: a new claim may bring it back.
  await claims.bind(center.issue('main-st', freshName()).file);
  expect(db.tables.keys.current('center')?.kid).toBe(center.publicKey);
});

test('the text of a QR code is read back as it was, and nothing else is taken for one', () => {
  const ticket = { address: 'https://c.example:8443/enrol', fingerprint: 'ab'.repeat(32), secret: 'x'.repeat(32) };
  expect(readClaimQr(`  ${claimQr(ticket)}\n`)).toEqual(ticket);
  const dated = { ...ticket, expiresAt: '2026-06-03T15:00:00.000Z' };
  expect(readClaimQr(claimQr(dated))).toEqual(dated);
  const bad = [
    '',
    'https://c.example',
    claimQr(ticket).replace('https', 'ftp'),
    claimQr({ ...ticket, fingerprint: '12' }),
  ];
  for (const text of bad) expect(() => readClaimQr(text)).toThrow(expect.objectContaining({ code: 'CLAIM_INVALID' }));
  expect(readFingerprint('AAAA bbbb 0000-1111:2222')).toBe('aaaabbbb000011112222');
  expect(readFingerprint('AAAA BBBB')).toBeNull();
});

test('openssl verifies the request of a box as what it is: signed by its key', async () => {
  const issued = center.issue('main-st', freshName());
  const { signer, dir } = await box();
  let sent = '';
  const tapped: EnrolHttp = (ask) => (
    (sent = (ask.json as { request?: string } | undefined)?.request ?? sent),
    http(ask)
  );
  await client(tapped).enrol(readClaimQr(issued.qr), signer);
  const [header, payload, signature] = sent.split('.') as [string, string, string];
  writeFileSync(join(dir, 'm'), `${header}.${payload}`);
  writeFileSync(join(dir, 's'), Buffer.from(signature, 'base64url'));
  spawnSync('openssl', ['pkey', '-in', 'box.key', '-pubout', '-out', 'p'], { cwd: dir });
  const verify = ['pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', 'p', '-in', 'm', '-sigfile', 's'];
  expect(spawnSync('openssl', verify, { cwd: dir }).status).toBe(0);
  writeFileSync(join(dir, 'm'), `${header}.${payload}x`);
  expect(spawnSync('openssl', verify, { cwd: dir }).status).not.toBe(0);
});
