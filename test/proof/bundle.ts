import { createHash, generateKeyPairSync } from 'node:crypto';
import type { Manifest, SignedManifest } from '../../src/contract/clip.js';
import { CHECKPOINT_TYPE, type SegmentRecord } from '../../src/contract/evidence.js';
import { MANIFEST_TYPE } from '../../src/contract/upload.js';
import { canonicalBytes } from '../../src/proof/canonical.js';
import { GENESIS, recordLink } from '../../src/proof/chain.js';
import { signEnvelope } from '../../src/proof/dsse.js';
import { signerFromKey, type Signer } from '../../src/proof/keys.js';

export const box = signerFromKey(generateKeyPairSync('ed25519').privateKey);
export const stranger = signerFromKey(generateKeyPairSync('ed25519').privateKey);
export const sha = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
export const T0 = Date.UTC(2026, 10, 23, 14, 5);
export const utc = (ms: number): string => new Date(ms).toISOString();

export interface Bundle {
  file: Buffer;
  manifest: Manifest;
  records: SegmentRecord[];
}

/** A clip of three segments in the middle of a chain, with more behind it (two) up to a checkpoint. */
export function bundle(
  bodies: Buffer[] = [0, 1, 2].map((i) => Buffer.from(`pictures of segment ${i}`)),
  later: Buffer[] = ['later', 'last'].map((text) => Buffer.from(text)),
): Bundle {
  const init = Buffer.from('ftyp+moov');
  const all = [...bodies, ...later];
  let prev = sha(Buffer.from('what came before'));
  const records = all.map((body, i): SegmentRecord => {
    const record: SegmentRecord = {
      v: 1,
      stream: 'door.main',
      seq: 41 + i,
      run: '01HF00000000000000000000RN',
      boot: 'boot',
      startMs: T0 + i * 10_000,
      monoMs: 1000 + i * 10_000,
      decodeTicks: i * 900_000,
      durationTicks: 900_000,
      clock: 'ntp',
      initSha256: sha(init),
      bytes: body.length,
      sha256: sha(body),
      recovered: false,
      prev,
    };
    prev = recordLink(record);
    return record;
  });
  const file = Buffer.concat([init, ...bodies]);
  let offset = init.length;
  const manifest: Manifest = {
    type: 'bluelight/manifest/v1',
    clip: '01HF0000000000000000000000',
    site: 'north',
    box: 'box-1',
    key: box.keyId,
    camera: 'door',
    cameraName: 'Front door',
    stream: 'main',
    rendition: 'original',
    asked: { from: utc(T0 + 2_000), to: utc(T0 + 20_000) },
    covers: { from: utc(T0), to: utc(T0 + bodies.length * 10_000) },
    gaps: [],
    file: { name: 'clip.mp4', bytes: file.length, sha256: sha(file) },
    init: { bytes: init.length, sha256: sha(init) },
    segments: bodies.map((body, i) => {
      const at = offset;
      offset += body.length;
      return {
        seq: 41 + i,
        from: utc(T0 + i * 10_000),
        to: utc(T0 + (i + 1) * 10_000),
        offset: at,
        bytes: body.length,
        sha256: sha(body),
        link: recordLink(records[i]!),
        clock: 'ntp',
        recovered: false,
        record: records[i]!,
      };
    }),
    disk: 'disk-1',
    anchor: { records: records.slice(bodies.length), checkpoint: checkpoint(records) },
    clockOffsetMs: 12,
    requester: 'operator 7 (city)',
    reason: 'case 12',
    policyVersion: 3,
    grant: '01HF0000000000000000000001',
    madeAt: utc(T0 + 100_000),
  };
  return { file, manifest, records };
}

export function checkpoint(records: readonly SegmentRecord[], signer: Signer = box): SignedManifest {
  const last = records.at(-1)!;
  const payload = {
    v: 1,
    site: 'north',
    box: 'box-1',
    disk: 'disk-1',
    n: 5,
    prev: GENESIS,
    at: utc(T0 + 60_000),
    clock: 'ntp',
    heads: { 'door.main': { seq: last.seq, link: recordLink(last) } },
    audit: null,
  };
  return signEnvelope(CHECKPOINT_TYPE, canonicalBytes(payload), signer);
}

export const sign = (manifest: Manifest, signer: Signer = box): SignedManifest =>
  signEnvelope(MANIFEST_TYPE, canonicalBytes(manifest), signer);
