import { generateKeyPairSync, createHash } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import type { Manifest } from '../../src/contract/clip.js';
import { MANIFEST_TYPE } from '../../src/contract/upload.js';
import { canonicalBytes } from '../../src/proof/canonical.js';
import { signEnvelope } from '../../src/proof/dsse.js';
import { signerFromKey } from '../../src/proof/keys.js';
import { verifyClip } from '../../src/proof/verify.js';
import type { PlannedFile } from '../../src/ring/types.js';
import { limits, Rig } from './support/rig.js';

const signer = signerFromKey(generateKeyPairSync('ed25519').privateKey);
const about = { site: 'north', box: 'box-1', audit: null };
const utc = (ms: number): string => new Date(ms).toISOString();
const sha = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

let rig: Rig;
afterEach(() => rig.remove());

/** The clip as it is delivered, with its manifest. */
async function deliver(file: PlannedFile): Promise<{ bytes: Buffer; manifest: Manifest }> {
  const init = rig.ring.readInit(file.initHash);
  const bodies = await Promise.all(
    file.segments.map((s) => rig.ring.read({ stream: 'a.main', seq: s.seq, offset: 0, length: s.bytes })),
  );
  const bytes = Buffer.concat([init, ...bodies]);
  let offset = init.length;
  const manifest: Manifest = {
    type: 'bluelight/manifest/v1',
    clip: '01HF0000000000000000000000',
    ...{
      site: 'north',
      box: 'box-1',
      key: signer.keyId,
      camera: 'a',
      cameraName: 'A',
      stream: 'main',
      rendition: 'original',
    },
    asked: { from: utc(file.startMs), to: utc(file.endMs) },
    covers: { from: utc(file.startMs), to: utc(file.endMs) },
    gaps: [],
    file: { name: 'clip.mp4', bytes: bytes.length, sha256: sha(bytes) },
    init: { bytes: init.length, sha256: file.initHash },
    segments: file.segments.map((s) => {
      const at = offset;
      offset += s.bytes;
      const { seq, sha256, link, clock, recovered, record } = s;
      return {
        seq,
        from: utc(s.startMs),
        to: utc(s.endMs),
        offset: at,
        bytes: s.bytes,
        sha256,
        link,
        clock,
        recovered,
        record,
      };
    }),
    disk: rig.ring.diskId!,
    ...(file.anchor === undefined ? {} : { anchor: file.anchor }),
    ...{
      clockOffsetMs: null,
      requester: 'operator',
      reason: 'case',
      policyVersion: 1,
      grant: 'g',
      madeAt: utc(file.endMs),
    },
  };
  return { bytes, manifest };
}

async function verify(
  file: PlannedFile,
  more: object = {},
): Promise<{ verdict: string; findings: { code: string }[] }> {
  const { bytes, manifest } = await deliver(file);
  return verifyClip({
    file: { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) },
    signed: signEnvelope(MANIFEST_TYPE, canonicalBytes(manifest), signer),
    trusted: [signer.keyId],
    ...more,
  });
}

test('a clip is authentic as soon as a checkpoint has named a head behind it', async () => {
  rig = new Rig({ signer }).open();
  rig.begin('a.main');
  const start = rig.clock.wall;
  rig.record(62);
  const plan = () => rig.ring.plan('a.main', start + 12_000, start + 28_000).files[0]!;
  expect(await verify(plan())).toMatchObject({ verdict: 'authentic_completeness_not_proven' });
  const first = rig.ring.checkpoint(about);
  expect(plan().anchor?.records.map((r) => r.seq)).toEqual([4, 5, 6]);
  expect(await verify(plan())).toMatchObject({ verdict: 'authentic', findings: [] });
  // The center's copy proves the same.
  expect(await verify(plan(), { checkpoints: [first] })).toMatchObject({ verdict: 'authentic' });
});

test('checkpoints follow each other by hash, and records outlive their media while held footage needs them', async () => {
  rig = new Rig({ signer, limits: limits({ quotaBytes: 11e6 }), journalFileBytes: 20_000 }).open();
  const start = rig.clock.wall;
  rig.begin('a.main');
  rig.record(30);
  rig.ring.setProtections([{ id: 'h', kind: 'hold', camera: 'a', fromMs: start, toMs: start + 25_000 }]);
  const payloads: { n: number; prev: string; sha: string }[] = [];
  for (let i = 0; i < 12; i++) {
    rig.record(150);
    const payload = Buffer.from(rig.ring.checkpoint(about).payload, 'base64');
    const { n, prev } = JSON.parse(payload.toString()) as { n: number; prev: string };
    payloads.push({ n, prev, sha: sha(payload) });
  }
  payloads.forEach((p, i) => expect(p).toMatchObject({ n: i + 1, prev: payloads[i - 1]?.sha ?? '0'.repeat(64) }));
  const plan = () => rig.ring.plan('a.main', start, start + 25_000).files[0]!;
  const seqs = rig.ring.plan('a.main', 0, 4e12).files.flatMap((f) => f.segments.map((s) => s.seq));
  expect(seqs.slice(0, 3)).toEqual([1, 2, 3]);
  expect(seqs[3]).toBeGreaterThan(30);
  expect(plan().anchor?.records.map((r) => r.seq)[0]).toBe(4);
  expect(await verify(plan())).toMatchObject({ verdict: 'authentic' });
  const anchor = plan().anchor;
  rig.ring.rebuild();
  while (rig.ring.rebuildStep());
  expect(plan().anchor?.checkpoint).toEqual(anchor?.checkpoint);
});

test('camera signatures and other user data in SEI come out as they went in', async () => {
  rig = new Rig({ signer }).open();
  rig.begin('a.main');
  rig.record(12);
  rig.end('a.main');
  const { bytes } = await deliver(rig.ring.plan('a.main', 0, 4e12).files[0]!);
  // x264 writes its settings into a user data SEI: the text stands in the delivered file.
  expect(bytes.includes('x264 - core')).toBe(true);
});
