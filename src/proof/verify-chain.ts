import type { Manifest, SignedManifest } from '../contract/clip.js';
import { checkpoint as checkpointSchema, CHECKPOINT_TYPE, type Checkpoint } from '../contract/evidence.js';
import { parseCanonical } from './canonical.js';
import { recordLink, verifyChain } from './chain.js';
import type { Finding, VerifyInput } from './findings.js';
import { openFailure, openWithAnyKey, text } from './open-trusted.js';

/** Every record says the same as the manifest, and the records make one chain. */
export function checkRecords(manifest: Manifest, findings: Finding[]): void {
  const stream = `${manifest.camera}.${manifest.stream}`;
  for (const segment of manifest.segments) {
    const { record } = segment;
    if (record === undefined) continue;
    const same =
      recordLink(record) === segment.link &&
      record.stream === stream &&
      record.seq === segment.seq &&
      record.bytes === segment.bytes &&
      record.sha256 === segment.sha256 &&
      record.initSha256 === manifest.init.sha256 &&
      record.recovered === segment.recovered &&
      record.clock === segment.clock;
    if (!same) {
      findings.push({
        code: 'RECORD_MISMATCH',
        level: 'tampered',
        message: `the record of segment ${segment.seq} says something else than the manifest`,
        segment: segment.seq,
      });
    }
  }
  const records = manifest.segments.flatMap((s) => s.record ?? []);
  const chain =
    records.length === manifest.segments.length
      ? verifyChain([...records, ...(manifest.anchor?.records ?? [])])
      : sequenceOnly(manifest);
  for (const finding of chain) findings.push({ ...finding, level: 'tampered', segment: finding.seq });
}

/** Without records only the sequence numbers tell of something that was left out. */
function sequenceOnly(manifest: Manifest): { code: 'SEQ_GAP'; seq: number; message: string }[] {
  return manifest.segments.flatMap((segment, i) => {
    const before = manifest.segments[i - 1];
    if (before === undefined || segment.seq === before.seq + 1) return [];
    return [{ code: 'SEQ_GAP' as const, seq: segment.seq, message: `segments are missing before ${segment.seq}` }];
  });
}

/** Follows the chain from the last segment to the head that a checkpoint published. */
export function checkAnchor(manifest: Manifest, input: VerifyInput, findings: Finding[]): void {
  const last = manifest.segments.at(-1)?.record;
  const following = manifest.anchor?.records ?? [];
  const candidates = [
    ...(input.checkpoints ?? []),
    ...(manifest.anchor === undefined ? [] : [manifest.anchor.checkpoint]),
  ];
  if (last === undefined || candidates.length === 0) {
    findings.push({
      code: 'NOT_ANCHORED',
      level: 'unknown',
      message: 'no checkpoint proves that nothing was left out',
    });
    return;
  }
  const stream = `${manifest.camera}.${manifest.stream}`;
  const links = new Map([last, ...following].map((record) => [record.seq, recordLink(record)]));
  let anchored = false;
  for (const envelope of candidates) {
    const head = openCheckpoint(envelope, input, findings)?.heads[stream];
    const link = head === undefined ? undefined : links.get(head.seq);
    if (link === undefined) continue;
    if (link === head!.link) anchored = true;
    else {
      findings.push({
        code: 'CHECKPOINT_MISMATCH',
        level: 'tampered',
        message: `the published head of segment ${head!.seq} is another one: the chain was rewritten`,
        segment: head!.seq,
      });
    }
  }
  if (!anchored) {
    findings.push({ code: 'NOT_ANCHORED', level: 'unknown', message: 'no checkpoint names a record of this chain' });
  }
}

function openCheckpoint(envelope: SignedManifest, input: VerifyInput, findings: Finding[]): Checkpoint | undefined {
  try {
    const { payload } = openWithAnyKey(envelope, CHECKPOINT_TYPE, input.trusted, findings);
    return checkpointSchema.parse(parseCanonical(text(payload)));
  } catch (error) {
    findings.push({ ...openFailure(error), message: `a checkpoint is not genuine: ${openFailure(error).message}` });
    return undefined;
  }
}
