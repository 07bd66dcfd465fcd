import type { Manifest, SignedManifest } from '../contract/clip.js';
import type { Party } from '../contract/policy.js';
import { toUtc } from '../contract/primitives.js';
import { MANIFEST_TYPE } from '../contract/upload.js';
import { canonicalBytes } from '../proof/canonical.js';
import { signEnvelope } from '../proof/dsse.js';
import type { Signer } from '../proof/keys.js';
import type { StoredClip } from '../store/clips.js';
import type { Derived } from './made-file.js';
import type { FootagePlan, PlannedFile } from './ports.js';

export interface ManifestInput {
  site: string;
  box: string;
  clip: StoredClip;
  cameraName: string;
  role: 'main' | 'sub';
  file: PlannedFile;
  disk: string;
  gaps: FootagePlan['gaps'];
  /** Of the file as it is sent. */
  bytes: number;
  offsets: number[];
  derived?: Derived;
  sha256: string;
  grant: string;
  party: Party;
  clockOffsetMs: number | null;
  policyVersion: number;
  madeMs: number;
}

/** Everything that a verifier needs to know of a clip; the order of its segments is that of the file. */
export function buildManifest(key: string, input: ManifestInput): Manifest {
  const { clip, file } = input;
  const covers = { from: toUtc(file.startMs), to: toUtc(file.endMs) };
  return {
    type: 'bluelight/manifest/v1',
    clip: clip.id,
    site: input.site,
    box: input.box,
    key,
    camera: clip.camera,
    cameraName: input.cameraName,
    stream: input.role,
    rendition: clip.rendition,
    asked: { from: clip.from, to: clip.to },
    covers,
    gaps: input.gaps.map((gap) => ({ from: toUtc(gap.fromMs), to: toUtc(gap.toMs), reason: gap.reason })),
    file: { name: fileName(clip), bytes: input.bytes, sha256: input.sha256 },
    ...(input.derived === undefined
      ? {}
      : { derived: { masked: input.derived.masked, at: toUtc(input.derived.atMs) } }),
    init: { bytes: file.initBytes, sha256: file.initHash },
    segments: file.segments.map((segment, i) => ({
      seq: segment.seq,
      from: toUtc(segment.startMs),
      to: toUtc(segment.endMs),
      offset: input.offsets[i] ?? 0,
      bytes: segment.bytes,
      sha256: segment.sha256,
      link: segment.link,
      clock: segment.clock,
      recovered: segment.recovered,
      record: segment.record,
    })),
    disk: input.disk,
    anchor: file.anchor,
    clockOffsetMs: input.clockOffsetMs === null ? null : Math.round(input.clockOffsetMs),
    requester: partyName(input.party),
    reason: clip.reason,
    policyVersion: input.policyVersion,
    grant: input.grant,
    madeAt: toUtc(input.madeMs),
  };
}

export function signManifest(manifest: Manifest, signer: Signer): SignedManifest {
  return signEnvelope(MANIFEST_TYPE, canonicalBytes(manifest), signer);
}

/** `2026-11-23T140500Z-north-original.mp4`: ids only, never names, so that it is safe in every path. */
export function fileName(clip: { camera: string; from: string; rendition: string; id: string }): string {
  const time = `${clip.from.slice(0, 19).replaceAll(':', '')}Z`;
  return `${time}-${clip.camera}-${clip.rendition}-${clip.id.slice(-6).toLowerCase()}.${clip.rendition === 'stills' ? 'jpg' : 'mp4'}`;
}

export function partyName(party: Party): string {
  switch (party.kind) {
    case 'agent':
      return 'agent';
    case 'local':
      return `${party.role} ${party.name}`;
    case 'operator':
      return `operator ${party.operator} (${party.agency})`;
  }
}
