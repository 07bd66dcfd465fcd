import type { Random } from '../../scripts/lib/random.js';
import type { Manifest, SignedManifest } from '../../src/contract/clip.js';
import type { SegmentRecord } from '../../src/contract/evidence.js';
import { canonical } from '../../src/proof/canonical.js';
import { recordLink } from '../../src/proof/chain.js';
import type { Verdict, VerifyInput } from '../../src/proof/verify.js';
import { box, bundle, checkpoint, sha, sign, stranger, utc, T0, type Bundle } from './bundle.js';

/** Something to verify, and what must come of it. */
export interface Case {
  what: string;
  input: VerifyInput;
  expected: Verdict;
}

/** A clip as the parts of `VerifyInput`, to be changed. */
interface Parts {
  file: Buffer;
  manifest: Manifest;
  records: SegmentRecord[];
}

type Change = (random: Random, clip: Parts) => Partial<VerifyInput> & { expected?: Verdict };

function someBytes(random: Random, most: number): Buffer {
  return Buffer.from(Array.from({ length: 1 + random.below(most) }, () => random.below(256)));
}

function someClip(random: Random, fewest = 1): Bundle {
  const many = (from: number, most: number): Buffer[] =>
    Array.from({ length: from + random.below(most) }, () => someBytes(random, 60));
  return bundle(many(fewest, 6), many(0, 5));
}

const bytesOf = (data: Uint8Array): VerifyInput['file'] => ({
  size: data.length,
  read: (offset, length) => data.subarray(offset, offset + length),
});

const NAMES = ['Front door', 'Café, Haupttür', '入口', 'a "quoted" \\ name', '', 'e\u0301'.normalize('NFC')];

/** A clip as a box may deliver it, in any of the ways in which its proof may come. */
export function cleanCase(random: Random): Case {
  const clip = someClip(random);
  const gaps = Array.from({ length: random.below(4) }, (_, i) => ({
    from: utc(T0 + i * 1000),
    to: utc(T0 + i * 1000 + 1 + random.below(999)),
    reason: random.pick(['camera_offline', 'power', 'disk_full']),
  }));
  const { anchor, ...rest } = { ...clip.manifest, cameraName: random.pick(NAMES), gaps };
  const center = checkpoint(clip.records);
  const ways: (() => Pick<Case, 'expected'> & Partial<VerifyInput> & { signed: SignedManifest })[] = [
    () => ({ signed: sign({ ...rest, anchor }), expected: 'authentic' }),
    () => ({ signed: sign(rest), anchor, expected: 'authentic' }),
    () => ({ signed: sign(rest), anchor: canonical(anchor), expected: 'authentic' }),
    () => ({ signed: sign({ ...rest, anchor }), checkpoints: [center], expected: 'authentic' }),
    () => ({ signed: sign(rest), expected: 'authentic_completeness_not_proven' }),
    () => ({ signed: sign({ ...rest, anchor }), trusted: [stranger.keyId, box.keyId], expected: 'authentic' }),
    () => ({ signed: sign({ ...rest, anchor }), trusted: [], expected: 'cannot_tell' }),
  ];
  const { expected, ...input } = random.pick(ways)();
  const signed = random.chance(0.5) ? JSON.stringify(input.signed) : input.signed;
  return {
    what: `clean, ${rest.segments.length} segments`,
    input: { file: bytesOf(clip.file), trusted: [box.keyId], ...input, signed },
    expected,
  };
}

const part = ({ file, manifest }: Parts, i: number): Buffer => {
  const { offset, bytes } = manifest.segments[i]!;
  return file.subarray(offset, offset + bytes);
};

/** The file made of other parts than those it was signed for. */
function reassembled(clip: Parts, bodies: Uint8Array[]): VerifyInput['file'] {
  return bytesOf(Buffer.concat([clip.file.subarray(0, clip.manifest.init.bytes), ...bodies]));
}

const bodiesOf = (clip: Parts): Buffer[] => clip.manifest.segments.map((_, i) => part(clip, i));

/** The same clip without the i-th segment, as whoever has the key would describe it. */
function without(clip: Parts, i: number): Parts {
  const gone = clip.manifest.segments[i]!;
  const file = Buffer.concat([clip.file.subarray(0, gone.offset), clip.file.subarray(gone.offset + gone.bytes)]);
  const segments = clip.manifest.segments
    .filter((segment) => segment !== gone)
    .map((s) => ({ ...s, offset: s.offset > gone.offset ? s.offset - gone.bytes : s.offset }));
  const manifest = {
    ...clip.manifest,
    segments,
    file: { ...clip.manifest.file, bytes: file.length, sha256: sha(file) },
  };
  return { file, manifest, records: clip.records };
}

/** A chain that fits again, from the changed record on. */
function relinked(records: readonly SegmentRecord[]): SegmentRecord[] {
  const chain: SegmentRecord[] = [];
  for (const record of records) {
    const last = chain.at(-1);
    chain.push(last === undefined ? record : { ...record, seq: last.seq + 1, prev: recordLink(last) });
  }
  return chain;
}

function withRecords(clip: Parts, records: readonly SegmentRecord[]): Manifest {
  const segments = clip.manifest.segments.map((segment, i) => {
    const record = records[i]!;
    return { ...segment, seq: record.seq, record, link: recordLink(record) };
  });
  const anchor = { records: records.slice(segments.length), checkpoint: checkpoint(records) };
  return { ...clip.manifest, segments, anchor };
}

const inner = (random: Random, clip: Parts): number => 1 + random.below(clip.manifest.segments.length - 2);

const CHANGES: Record<string, Change> = {
  'a segment cut out': (random, clip) => {
    const bodies = bodiesOf(clip);
    bodies.splice(random.below(bodies.length), 1);
    return { file: reassembled(clip, bodies) };
  },
  'a segment doubled': (random, clip) => {
    const bodies = bodiesOf(clip);
    const at = random.below(bodies.length);
    bodies.splice(at, 0, bodies[at]!);
    return { file: reassembled(clip, bodies) };
  },
  'segments in another order': (random, clip) => {
    const bodies = bodiesOf(clip);
    bodies.push(...bodies.splice(random.below(bodies.length - 1), 1));
    return { file: reassembled(clip, bodies) };
  },
  'a segment of other footage': (random, clip) => {
    const bodies = bodiesOf(clip);
    bodies[random.below(bodies.length)] = someBytes(random, 60);
    return { file: reassembled(clip, bodies) };
  },
  'a piece cut out': (random, { file }) => {
    const at = random.below(file.length);
    return { file: bytesOf(Buffer.concat([file.subarray(0, at), file.subarray(at + 1 + random.below(20))])) };
  },
  'a piece put in': (random, { file }) => {
    const at = random.below(file.length + 1);
    return { file: bytesOf(Buffer.concat([file.subarray(0, at), someBytes(random, 20), file.subarray(at)])) };
  },
  'the file of another clip': (random) => ({ file: bytesOf(someClip(random).file) }),
  'another anchor': (random, { manifest }) => {
    const { anchor: _, ...rest } = manifest;
    const other = bundle([someBytes(random, 60)], [someBytes(random, 60)]);
    return { signed: sign(rest), anchor: other.manifest.anchor };
  },
  'an anchor with a hole': (random, { manifest }) => {
    const { anchor, ...rest } = manifest;
    const records = [...anchor!.records];
    // Without any it vouches for nothing: then the checkpoint does not meet the chain of the clip.
    if (records.length === 0) return { signed: sign(rest), expected: 'authentic_completeness_not_proven' };
    const gone = random.below(records.length);
    records.splice(gone, 1);
    const short = gone === records.length;
    return {
      signed: sign(rest),
      anchor: { ...anchor!, records },
      ...(short ? { expected: 'authentic_completeness_not_proven' as const } : {}),
    };
  },
  'no anchor': (_random, { manifest }) => {
    const { anchor: _, ...rest } = manifest;
    return { signed: sign(rest), expected: 'authentic_completeness_not_proven' };
  },
  'a checkpoint of a stranger under the name of the box': (_random, { manifest, records }) => {
    const forged = checkpoint(records, stranger);
    forged.signatures[0]!.keyid = box.keyId;
    return { signed: sign({ ...manifest, anchor: { ...manifest.anchor!, checkpoint: forged } }) };
  },
  'a word of the signed text': (random, { manifest }) => {
    const signed = sign(manifest);
    const text = Buffer.from(signed.payload, 'base64').toString();
    const at = random.below(text.length);
    const edited = text.slice(0, at) + random.pick(['0', '9', 'x', '"', ',"x":1', ' ']) + text.slice(at + 1);
    const payload = Buffer.from(edited === text ? `${text} ` : edited).toString('base64');
    return { signed: { ...signed, payload } };
  },
  'a key twice in the envelope': (_random, { manifest }) => {
    const text = JSON.stringify(sign(manifest));
    return { signed: `${text.slice(0, -1)},"payload":"e30="}` };
  },
  'signed by a stranger': (_random, { manifest }) => ({
    signed: sign({ ...manifest, key: stranger.keyId }, stranger),
    expected: 'cannot_tell',
  }),
  'signed by a stranger under the name of the box': (_random, { manifest }) => {
    const signed = sign(manifest, stranger);
    signed.signatures[0]!.keyid = box.keyId;
    return { signed };
  },
  'said to be of another camera': () => ({ expect: { camera: 'yard' } }),
  'said to be of another time': (random, { manifest }) => ({
    expect: { fromMs: Date.parse(manifest.covers.from) - 1 - random.below(100_000) },
  }),
  'with the key: a segment left out': (random, clip) => {
    const cut = without(clip, inner(random, clip));
    return { file: bytesOf(cut.file), signed: sign(cut.manifest) };
  },
  'with the key: a record edited': (random, clip) => {
    const manifest = structuredClone(clip.manifest);
    manifest.segments[random.below(manifest.segments.length)]!.record.startMs += 1 + random.below(1_000_000);
    return { signed: sign(manifest) };
  },
  'with the key: the parts moved': (random, clip) => {
    const manifest = structuredClone(clip.manifest);
    manifest.segments[random.below(manifest.segments.length)]!.offset += 1 + random.below(9);
    return { signed: sign(manifest) };
  },
  'with the key: the past rewritten, against what was published': (random, clip) => {
    const at = random.below(clip.manifest.segments.length);
    const records = relinked(clip.records.map((r, i) => (i === at ? { ...r, startMs: r.startMs + 1 } : r)));
    return { signed: sign(withRecords(clip, records)), checkpoints: [checkpoint(clip.records)] };
  },
  'with the key: a segment left out and the chain rebuilt, against what was published': (random, clip) => {
    const at = inner(random, clip);
    const cut = without(clip, at);
    const records = relinked(clip.records.filter((_, i) => i !== at));
    const manifest = withRecords(cut, records);
    return {
      file: bytesOf(cut.file),
      signed: sign(manifest),
      checkpoints: [checkpoint(clip.records.slice(0, records.length))],
    };
  },
};

/** A clip to which something was done that a verifier must find. */
export function structuralCase(random: Random): Case {
  const clip = someClip(random, 3);
  const name = random.pick(Object.keys(CHANGES));
  const { expected = 'tampered', ...change } = CHANGES[name]!(random, clip);
  const same = change.file !== undefined && change.file.size === clip.file.length && equal(change.file, clip.file);
  return {
    what: name,
    input: { file: bytesOf(clip.file), signed: sign(clip.manifest), trusted: [box.keyId], ...change },
    // What was doubled, moved or replaced may be the same again.
    expected: same && change.signed === undefined ? 'authentic' : expected,
  };
}

function equal(file: VerifyInput['file'], bytes: Buffer): boolean {
  return bytes.equals(file.read(0, file.size) as Uint8Array);
}
