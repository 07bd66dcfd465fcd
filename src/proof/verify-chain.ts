import type { Manifest } from '../contract/clip.js';
import {
  anchor as anchorSchema,
  checkpoint as checkpointSchema,
  CHECKPOINT_TYPE,
  type Anchor,
  type Checkpoint,
  type Envelope,
} from '../contract/evidence.js';
import { parseCanonical, parseJsonBytes } from './canonical.js';
import { recordLink, verifyChain } from './chain.js';
import type { Finding, VerifyInput } from './findings.js';
import { openFailure, openWithAnyKey, text } from './open-trusted.js';

/** Every record says the same as the manifest, and the records make one chain. */
export function checkRecords(manifest: Manifest, findings: Finding[]): void {
  const stream = `${manifest.camera}.${manifest.stream}`;
  for (const segment of manifest.segments) {
    const { record } = segment;
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
  addChainFindings(verifyChain(manifest.segments.map((s) => s.record)), findings);
}

type Proof = Pick<VerifyInput, 'trusted' | 'checkpoints' | 'anchor'>;

/** Follows the chain from the last segment to the head that a checkpoint published. */
export function checkAnchor(manifest: Manifest, input: Proof, findings: Finding[]): void {
  const last = manifest.segments.at(-1)?.record;
  if (last === undefined) return unproven('the clip has no segments', findings);
  const anchors = [manifest.anchor, openAnchor(input.anchor, findings)].flatMap((one) => one ?? []);
  for (const { records } of anchors) addChainFindings(verifyChain([last, ...records]), findings);
  const stream = `${manifest.camera}.${manifest.stream}`;
  const links = new Map([last, ...anchors.flatMap((a) => a.records)].map((r) => [r.seq, recordLink(r)]));
  let anchored = false;
  for (const envelope of [...(input.checkpoints ?? []), ...anchors.map((a) => a.checkpoint)]) {
    const checkpoint = openCheckpoint(envelope, input, findings);
    // Another disk has chains of its own: what it says of this number is about other footage.
    if (checkpoint?.disk !== manifest.disk) continue;
    const head = checkpoint.heads[stream];
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
  if (!anchored) unproven('no checkpoint proves yet that nothing was left out', findings);
}

function unproven(message: string, findings: Finding[]): void {
  findings.push({ code: 'NOT_ANCHORED', level: 'unknown', message });
}

function addChainFindings(chain: ReturnType<typeof verifyChain>, findings: Finding[]): void {
  for (const { seq, ...finding } of chain) findings.push({ ...finding, level: 'tampered', segment: seq });
}

function openAnchor(given: unknown, findings: Finding[]): Anchor | undefined {
  if (given === undefined) return undefined;
  try {
    return anchorSchema.parse(typeof given === 'string' ? parseJsonBytes(Buffer.from(given)) : given);
  } catch (error) {
    findings.push({ ...openFailure(error), message: `the anchor is not one: ${openFailure(error).message}` });
    return undefined;
  }
}

function openCheckpoint(
  envelope: Envelope,
  input: Pick<VerifyInput, 'trusted'>,
  findings: Finding[],
): Checkpoint | undefined {
  try {
    const { payload } = openWithAnyKey(envelope, CHECKPOINT_TYPE, input.trusted, findings);
    return checkpointSchema.parse(parseCanonical(text(payload)));
  } catch (error) {
    findings.push({ ...openFailure(error), message: `a checkpoint is not genuine: ${openFailure(error).message}` });
    return undefined;
  }
}
