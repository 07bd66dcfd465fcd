import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import type { IssuedReceiptBody } from '../../src/contract/owner.js';
import type { AuditDigest, AuditEntry } from '../../src/contract/audit.js';
import { mosquitto, subscribe } from '../center/mosquitto.js';
import { openSite } from './site.js';

const PASSPHRASE = 'blue lights on the corner';

test(
  'an owner signs terms, pauses, resumes and leaves; openssl verifies the receipt, the broker keeps nothing',
  { timeout: 200_000 },
  async () => {
    const broker = await mosquitto();
    await broker.start();
    await using opened = await openSite({
      cameras: 1,
      address: '127.0.34.11',
      centerArgs: ['--broker', broker.url],
      // Quiet enough between two short passages that each becomes a clip of its own, and soon.
      cameraArgs: ['--loop', '20', '--activity', '0.15'],
      settings: { motion: { pre_roll: '1s', post_roll: '1s' }, recording: { segment: '3s' } },
    });
    const { site } = opened;
    // At an owner's site a technician sees no clips: what was delivered is heard where the center hears it.
    const heard = subscribe(broker.port, 'bluelight/v1/+/+/event/#');
    onTestFinished(() => heard.stop());
    const delivered = (): string[] =>
      heard.lines
        .map((one) => (JSON.parse(one.payload) as { data: { clip?: string; state?: string } }).data)
        .flatMap((data) => (data.state === 'delivered' && data.clip !== undefined ? [data.clip] : []));
    const terms = join(site.dir, 'terms.json');
    const camera = { camera: 'cam-1', mode: 'clips', autoClips: true, stills: true };
    writeFileSync(
      terms,
      JSON.stringify({ version: 1, authority: 'owner', timeZone: 'America/Chicago', cameras: [camera] }),
    );

    await site.cli(['policy', 'owner', 'Ms Jones'], PASSPHRASE);
    expect((await site.cli<{ words: string[] }>(['policy', 'preview', terms])).words.join(' ')).toMatch(/camera 1/);
    await site.cli(['policy', 'propose', terms]);
    const wrong = await site.tryCli(['policy', 'accept'], 'not her passphrase');
    expect(wrong.code).not.toBe(0);
    const consent = await site.cli<IssuedReceiptBody>(['policy', 'accept'], PASSPHRASE);
    expect(consent.receipt.kind).toBe('consent');
    const first = await until(async () => (delivered().length > 0 ? true : undefined), 60_000);
    const told = first ? '' : JSON.stringify([heard.lines, await site.cli(['audit', 'show', '--limit', '60'])]);
    expect(first, told).toBe(true);

    await site.cli(['pause', '--reason', 'a private party']);
    const pausedAt = Date.now();
    const refused = await until(async () => {
      const entries = await site.cli<AuditEntry[]>(['audit', 'show', '--limit', '200']);
      return entries.find((entry) => entry.kind === 'clip' && entry.code === 'PAUSED_BY_OWNER');
    }, 120_000);
    expect(refused, 'a clip of motion that was refused while paused').toBeDefined();
    // What happened before the pause may still be on its way; what happens during it is nobody's business.
    const during = heard.lines.filter(
      (one) => Date.parse((JSON.parse(one.payload) as { time: string }).time) > pausedAt,
    );
    expect(during).toEqual([]);
    expect((await site.recording(2, 5_000))?.streams).toHaveLength(2);
    expect((await site.tryCli(['resume'])).code, 'only the owner opens again').toBe(1);
    await site.cli(['resume', '--passphrase-stdin'], PASSPHRASE);

    const before = delivered();
    const exit = await site.cli<IssuedReceiptBody>(['optout', '--passphrase-stdin'], PASSPHRASE);
    expect(exit.receipt.delivered.map((one) => one.clip)).toEqual(expect.arrayContaining(before));
    expect(opensslVerifies(exit)).toBe(true);
    expect(opensslVerifies({ ...exit, envelope: { ...exit.envelope, payload: tampered(exit.envelope.payload) } })).toBe(
      false,
    );

    // A subscriber that comes now gets what is retained: of this box nothing.
    const kept = subscribe(broker.port, 'bluelight/v1/jx-int-0042/#');
    const center = subscribe(broker.port, 'bluelight/v1/center/#');
    await until(async () => (center.lines.length > 0 ? true : undefined), 10_000);
    expect(kept.lines).toEqual([]);
    await Promise.all([kept.stop(), center.stop()]);
    expect((await site.status()).center.state).toBe('unclaimed');

    const log = join(site.dir, 'audit.ndjson');
    await site.cli(['audit', 'export', log]);
    const signed = join(site.dir, 'receipt.json');
    writeFileSync(signed, JSON.stringify(exit.envelope));
    const verify = ['audit', 'verify', log, '--key', exit.receipt.key, '--receipt', signed];
    const checked = await site.cli<{ rows: number; trusted: boolean }>(verify);
    expect(checked.trusted).toBe(true);
    expect(checked.rows).toBeGreaterThan(10);
    // Read without the box: the agent is not asked.
    const offline = [...['--socket', '/nonexistent'], 'audit'];
    const shown = await site.cli<AuditEntry[]>([...offline, 'show', '--file', log, '--limit', '500']);
    expect(shown.map(({ words }) => words).join('\n')).toMatch(/paused sharing until it is resumed: a private party/);
    const year = String(new Date().getFullYear());
    const numbers = await site.cli<AuditDigest>([...offline, 'numbers', '--year', year, '--file', log]);
    expect(numbers.numbers).toMatchObject({ pauses: 1, clipsUnasked: expect.any(Number) as number });
    expect(numbers.numbers.bytesOut).toBeGreaterThan(0);
    await broker.kill();
  },
);

/** DSSE by hand, so that nothing of ours decides: `DSSEv1 SP len(type) SP type SP len(body) SP body`. */
function opensslVerifies({ receipt, envelope }: IssuedReceiptBody): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-receipt-'));
  const body = Buffer.from(envelope.payload, 'base64');
  const head = `DSSEv1 ${envelope.payloadType.length} ${envelope.payloadType} ${body.length} `;
  writeFileSync(join(dir, 'signed'), Buffer.concat([Buffer.from(head), body]));
  writeFileSync(join(dir, 'sig'), Buffer.from(envelope.signatures[0]!.sig, 'base64'));
  // RFC 8410 §4: the SubjectPublicKeyInfo of an Ed25519 key is this head and the 32 bytes.
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(receipt.key, 'base64url')]);
  writeFileSync(
    join(dir, 'key.pem'),
    `-----BEGIN PUBLIC KEY-----\n${spki.toString('base64')}\n-----END PUBLIC KEY-----\n`,
  );
  const args = ['pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', 'key.pem', '-in', 'signed', '-sigfile', 'sig'];
  return spawnSync('openssl', args, { cwd: dir }).status === 0;
}

function tampered(payload: string): string {
  const bytes = Buffer.from(payload, 'base64');
  bytes[bytes.length >> 1]! ^= 1;
  return bytes.toString('base64');
}
