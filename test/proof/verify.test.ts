import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Manifest, SignedManifest } from '../../src/contract/clip.js';
import type { SegmentRecord } from '../../src/contract/evidence.js';
import { canonicalBytes } from '../../src/proof/canonical.js';
import { GENESIS, recordLink, verifyChain } from '../../src/proof/chain.js';
import { preAuthEncoding, signEnvelope } from '../../src/proof/dsse.js';
import { publicKeyFromText } from '../../src/proof/keys.js';
import { verifyClip, type VerifyInput } from '../../src/proof/verify.js';
import { box, bundle, checkpoint, sha, sign, stranger, T0, utc } from './bundle.js';

const bytes = (data: Uint8Array): VerifyInput['file'] => ({
  size: data.length,
  read: (offset, length) => data.subarray(offset, offset + length),
});

async function verdict(file: Uint8Array, signed: unknown, more: Partial<VerifyInput> = {}): Promise<string> {
  const report = await verifyClip({ file: bytes(file), signed, trusted: [box.keyId], ...more });
  const serious = report.findings.filter((f) => f.level !== 'note').map((f) => f.code);
  return [report.verdict, ...new Set(serious)].join(' ');
}

test('a clip as delivered is authentic', async () => {
  const { file, manifest } = bundle();
  expect(await verdict(file, sign(manifest))).toBe('authentic');
  expect(await verdict(file, JSON.stringify(sign(manifest)))).toBe('authentic');
});

test('without a checkpoint it is authentic, but completeness is not proven until the anchor comes', async () => {
  const { file, manifest } = bundle();
  const { anchor: _anchor, ...unanchored } = manifest;
  expect(await verdict(file, sign(unanchored))).toBe('authentic_completeness_not_proven NOT_ANCHORED');
  expect(await verdict(file, sign(unanchored), { anchor: manifest.anchor })).toBe('authentic');
  expect(await verdict(file, sign(unanchored), { anchor: JSON.stringify(manifest.anchor) })).toBe('authentic');
  const other = { ...unanchored, disk: 'disk-2' };
  expect(await verdict(file, sign(other), { anchor: manifest.anchor })).toContain('not_proven');
});

test('every single-byte change of the file is found and placed', async () => {
  const { file, manifest } = bundle();
  const signed = sign(manifest);
  for (let i = 0; i < file.length; i++) {
    for (const bit of [1, 128]) {
      const changed = Buffer.from(file);
      changed[i]! ^= bit;
      const report = await verifyClip({ file: bytes(changed), signed, trusted: [box.keyId] });
      expect(report.verdict).toBe('tampered');
      const [finding] = report.findings;
      expect(finding!.code).toBe('HASH');
      const segment = manifest.segments.findLast((s) => s.offset <= i);
      expect(finding!.segment, `byte ${i}`).toBe(segment?.seq);
    }
  }
});

test('every single-byte change of the signed manifest is found', async () => {
  const { file, manifest } = bundle([Buffer.from('a'), Buffer.from('b')]);
  const signed = sign(manifest);
  const payload = Buffer.from(signed.payload, 'base64');
  for (let i = 0; i < payload.length; i++) {
    const changed = Buffer.from(payload);
    changed[i]! ^= 1;
    expect(await verdict(file, { ...signed, payload: changed.toString('base64') }), `byte ${i}`).toBe(
      'tampered BAD_SIGNATURE',
    );
  }
  const [{ keyid, sig } = { keyid: '', sig: '' }] = signed.signatures;
  const mark = Buffer.from(sig, 'base64');
  for (let i = 0; i < mark.length; i++) {
    const changed = Buffer.from(mark);
    changed[i]! ^= 1;
    const forged = { ...signed, signatures: [{ keyid, sig: changed.toString('base64') }] };
    expect(await verdict(file, forged), `signature byte ${i}`).toBe('tampered BAD_SIGNATURE');
  }
});

test('cut, lengthened, reordered', async () => {
  const { file, manifest } = bundle();
  const signed = sign(manifest);
  expect(await verdict(file.subarray(0, -1), signed)).toBe('tampered TRUNCATED');
  expect(await verdict(file.subarray(0, 0), signed)).toBe('tampered TRUNCATED');
  expect(await verdict(Buffer.concat([file, Buffer.from('x')]), signed)).toBe('tampered EXTRA_BYTES');
  const [a, b, c] = manifest.segments.map((s) => file.subarray(s.offset, s.offset + s.bytes));
  const init = file.subarray(0, manifest.init.bytes);
  expect(await verdict(Buffer.concat([init, b!, a!, c!]), signed)).toBe('tampered HASH');
});

test('another key, the known key id over another signature, another purpose', async () => {
  const { file, manifest } = bundle();
  const foreign = { ...manifest, key: stranger.keyId };
  expect(await verdict(file, sign(foreign, stranger))).toBe('cannot_tell UNTRUSTED_KEY');
  const dressed = sign(manifest, stranger);
  dressed.signatures[0]!.keyid = box.keyId;
  expect(await verdict(file, dressed)).toBe('tampered BAD_SIGNATURE');
  expect(await verdict(file, sign(manifest, stranger))).toContain('BAD_MANIFEST');
  const purpose = signEnvelope('application/other', canonicalBytes(manifest), box);
  expect(await verdict(file, purpose)).toBe('tampered WRONG_TYPE');
  expect(await verdict(file, '{"a":1,"a":1}')).toBe('tampered BAD_MANIFEST');
  expect(await verdict(file, {})).toBe('tampered BAD_MANIFEST');
  expect(await verdict(file, sign(manifest), { trusted: [] })).toBe('cannot_tell UNTRUSTED_KEY');
});

test('whoever has the key and leaves a segment out is found by the sequence, the chain or the published head', async () => {
  const { file, manifest, records } = bundle();
  const without = (m: Manifest, i: number): { m: Manifest; file: Buffer } => {
    const gone = m.segments[i]!;
    const cut = Buffer.concat([file.subarray(0, gone.offset), file.subarray(gone.offset + gone.bytes)]);
    const segments = m.segments
      .filter((s) => s !== gone)
      .map((s) => ({ ...s, offset: s.offset > gone.offset ? s.offset - gone.bytes : s.offset }));
    return { m: { ...m, segments, file: { ...m.file, bytes: cut.length, sha256: sha(cut) } }, file: cut };
  };
  const dropped = without(manifest, 1);
  expect(await verdict(dropped.file, sign(dropped.m))).toBe('tampered SEQ_GAP');
  // With the records rebuilt over the hole everything fits, except the head that was published before.
  const rebuilt: SegmentRecord[] = [];
  for (const record of [records[0]!, records[2]!, records[3]!, records[4]!]) {
    const last = rebuilt.at(-1);
    rebuilt.push(last === undefined ? record : { ...record, seq: last.seq + 1, prev: recordLink(last) });
  }
  const forged: Manifest = {
    ...dropped.m,
    segments: dropped.m.segments.map((s, i) => ({
      ...s,
      seq: rebuilt[i]!.seq,
      record: rebuilt[i]!,
      link: recordLink(rebuilt[i]!),
    })),
    anchor: { records: rebuilt.slice(2), checkpoint: checkpoint(rebuilt) },
  };
  expect(await verdict(dropped.file, sign(forged))).toBe('authentic');
  const published = checkpoint(records.slice(0, 4));
  expect(await verdict(dropped.file, sign(forged), { checkpoints: [published] })).toBe('tampered CHECKPOINT_MISMATCH');
});

test('records that contradict the manifest or each other, holes between the parts', async () => {
  const { file, manifest } = bundle();
  const change = (edit: (m: Manifest) => void): SignedManifest => {
    const copy = structuredClone(manifest);
    edit(copy);
    return sign(copy);
  };
  expect(
    await verdict(
      file,
      change((m) => (m.segments[1]!.record.startMs += 1)),
    ),
  ).toContain('RECORD_MISMATCH');
  expect(
    await verdict(
      file,
      change((m) => (m.segments[1]!.link = GENESIS)),
    ),
  ).toContain('RECORD_MISMATCH');
  expect(
    await verdict(
      file,
      change((m) => (m.anchor!.records[0]!.prev = GENESIS)),
    ),
  ).toContain('CHAIN_BREAK');
  expect(
    await verdict(
      file,
      change((m) => (m.segments[2]!.offset += 1)),
    ),
  ).toContain('LAYOUT');
  const { records } = bundle();
  const foreign = change((m) => (m.anchor!.checkpoint = checkpoint(records, stranger)));
  expect(await verdict(file, foreign)).toBe('cannot_tell UNTRUSTED_KEY');
});

test('claims about camera and time are held against the manifest', async () => {
  const { file, manifest } = bundle();
  expect(await verdict(file, sign(manifest), { expect: { camera: 'door', fromMs: T0, toMs: T0 + 30_000 } })).toBe(
    'authentic',
  );
  expect(await verdict(file, sign(manifest), { expect: { camera: 'yard' } })).toBe('tampered WRONG_CAMERA');
  expect(await verdict(file, sign(manifest), { expect: { fromMs: T0 - 1 } })).toBe('tampered WRONG_TIME');
});

test('gaps, recovered segments and an unsynchronised clock are noted, not held against it', async () => {
  const { file, manifest } = bundle();
  const told = { ...manifest, gaps: [{ from: utc(T0), to: utc(T0 + 1), reason: 'camera_offline' }] };
  const report = await verifyClip({ file: bytes(file), signed: sign(told), trusted: [box.keyId] });
  expect(report.verdict).toBe('authentic');
  expect(report.findings).toMatchObject([{ code: 'GAP', level: 'note' }]);
});

test('10,000 structural changes by whoever lacks the key are found; 1,000 clean clips raise no alarm', async () => {
  const seed = 20261123;
  const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(bodies, async (list) => {
      const { file, manifest } = bundle(list.map((b) => Buffer.from(b)));
      expect(await verdict(file, sign(manifest))).toBe('authentic');
    }),
    { numRuns: 1_000, seed },
  );
  const { file, manifest } = bundle();
  const signed = sign(manifest);
  const text = JSON.stringify(manifest);
  const numbers = [...text.matchAll(/\d+/g)].map((m) => [m.index, m[0].length] as const);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(numbers.length - 1),
      fc.nat(9),
      fc.nat(file.length),
      fc.nat(3),
      async (n, digit, at, kind) => {
        const [index, length] = numbers[n]!;
        const edited = text.slice(0, index) + String(digit).repeat(length) + text.slice(index + length);
        if (kind === 0 && edited !== text) {
          const payload = Buffer.from(edited).toString('base64');
          expect(await verdict(file, { ...signed, payload })).toContain('tampered');
        } else if (kind === 1) {
          const cut = Buffer.concat([file.subarray(0, at), file.subarray(at + 1)]);
          if (!cut.equals(file)) expect(await verdict(cut, signed)).toContain('tampered');
        } else if (kind === 2) {
          const more = Buffer.concat([file.subarray(0, at), Buffer.from([digit]), file.subarray(at)]);
          expect(await verdict(more, signed)).toContain('tampered');
        } else {
          const swapped = Buffer.concat([file.subarray(at), file.subarray(0, at)]);
          if (!swapped.equals(file)) expect(await verdict(swapped, signed)).toContain('tampered');
        }
      },
    ),
    { numRuns: 10_000, seed },
  );
}, 60_000);

test('sha256sum and openssl check the same things without our program', () => {
  const { file, manifest } = bundle();
  const signed = sign(manifest);
  const dir = mkdtempSync(join(tmpdir(), 'verify-'));
  writeFileSync(join(dir, 'clip.mp4'), file);
  expect(execFileSync('sha256sum', ['clip.mp4'], { cwd: dir, encoding: 'utf8' })).toContain(manifest.file.sha256);
  const payload = Buffer.from(signed.payload, 'base64');
  writeFileSync(join(dir, 'pae'), preAuthEncoding(signed.payloadType, payload));
  writeFileSync(join(dir, 'sig'), Buffer.from(signed.signatures[0]!.sig, 'base64'));
  writeFileSync(join(dir, 'key.pem'), publicKeyFromText(manifest.key).export({ type: 'spki', format: 'pem' }));
  const args = ['pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', 'key.pem', '-in', 'pae', '-sigfile', 'sig'];
  expect(execFileSync('openssl', args, { cwd: dir, encoding: 'utf8' })).toContain('Verified Successfully');
  expect(readFileSync(join(dir, 'clip.mp4')).subarray(0, 9).toString()).toBe('ftyp+moov');
});

test('a chain says where it breaks, and prune records bridge what was deleted', () => {
  const { records } = bundle();
  expect(verifyChain(records)).toEqual([]);
  expect(verifyChain(records, { before: records[0]!.prev })).toEqual([]);
  expect(verifyChain(records, { before: GENESIS })).toMatchObject([{ code: 'CHAIN_BREAK', seq: 41 }]);
  const [a, b, c, d, e] = records as [SegmentRecord, SegmentRecord, SegmentRecord, SegmentRecord, SegmentRecord];
  expect(verifyChain([a, d, e])).toMatchObject([{ code: 'SEQ_GAP', seq: 44 }]);
  const prune = {
    v: 1 as const,
    stream: 'door.main',
    fromSeq: 42,
    toSeq: 43,
    fromMs: 0,
    toMs: 0,
    linkAtTo: recordLink(c),
    why: 'ring' as const,
    atMs: 0,
  };
  expect(verifyChain([a, d, e], { prunes: [prune] })).toEqual([]);
  expect(verifyChain([a, d, e], { prunes: [{ ...prune, toSeq: 42, linkAtTo: recordLink(b) }] })).toMatchObject([
    { code: 'SEQ_GAP' },
  ]);
  expect(verifyChain([a, { ...b, bytes: 1 }, c])).toMatchObject([{ code: 'CHAIN_BREAK', seq: 43 }]);
  expect(verifyChain([b, a])).toMatchObject([{ code: 'ORDER' }, { code: 'CHAIN_BREAK' }]);
});
