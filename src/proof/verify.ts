import { manifest as manifestSchema, signedManifest, type Manifest } from '../contract/clip.js';
import { MANIFEST_TYPE } from '../contract/upload.js';
import { parseCanonical, parseJsonBytes } from './canonical.js';
import type { Finding, Verdict, VerifyInput, VerifyReport } from './findings.js';
import { openFailure, openWithAnyKey, text } from './open-trusted.js';
import { checkBytes, checkLayout } from './verify-bytes.js';
import { checkAnchor, checkRecords } from './verify-chain.js';

export type { ClipBytes, Finding, FindingCode, Verdict, VerifyInput, VerifyReport } from './findings.js';

/** Checks a delivered file against its signed manifest, offline. Never throws for what the documents say. */
export async function verifyClip(input: VerifyInput): Promise<VerifyReport> {
  const findings: Finding[] = [];
  const opened = openManifest(input, findings);
  if (opened === undefined) return { verdict: verdictOf(findings), findings, keyId: null, manifest: null };
  const { manifest, keyId } = opened;
  // What was made out of footage holds none of it.
  if (manifest.derived === undefined) checkLayout(manifest, findings);
  await checkBytes(manifest, input, findings);
  checkRecords(manifest, findings);
  checkClaim(manifest, input.expect ?? {}, findings);
  checkAnchor(manifest, input, findings);
  noteContent(manifest, findings);
  return { verdict: verdictOf(findings), findings, keyId, manifest };
}

function verdictOf(findings: readonly Finding[]): Verdict {
  if (findings.some((f) => f.level === 'tampered')) return 'tampered';
  if (findings.some((f) => f.level === 'unknown' && f.code !== 'NOT_ANCHORED')) return 'cannot_tell';
  return findings.some((f) => f.code === 'NOT_ANCHORED') ? 'authentic_completeness_not_proven' : 'authentic';
}

function openManifest(
  input: VerifyInput,
  findings: Finding[],
): { manifest: Manifest; keyId: string | null } | undefined {
  try {
    const value = typeof input.signed === 'string' ? parseJsonBytes(Buffer.from(input.signed)) : input.signed;
    const envelope = signedManifest.parse(value);
    const { payload, keyId } = openWithAnyKey(envelope, MANIFEST_TYPE, input.trusted, findings);
    const manifest = manifestSchema.parse(parseCanonical(text(payload)));
    if (manifest.key !== keyId) {
      findings.push({
        code: 'BAD_MANIFEST',
        level: 'tampered',
        message: 'the manifest names another key than signed it',
      });
    }
    return { manifest, keyId };
  } catch (error) {
    findings.push(openFailure(error));
    return undefined;
  }
}

function checkClaim(manifest: Manifest, expect: NonNullable<VerifyInput['expect']>, findings: Finding[]): void {
  if (expect.camera !== undefined && expect.camera !== manifest.camera) {
    const message = `this is camera ${manifest.camera}, not ${expect.camera}`;
    findings.push({ code: 'WRONG_CAMERA', level: 'tampered', message });
  }
  const from = Date.parse(manifest.covers.from);
  const to = Date.parse(manifest.covers.to);
  const covered = (ms: number | undefined): boolean => ms === undefined || (ms >= from && ms <= to);
  if (!covered(expect.fromMs) || !covered(expect.toMs)) {
    const message = `the footage is from ${manifest.covers.from} to ${manifest.covers.to}`;
    findings.push({ code: 'WRONG_TIME', level: 'tampered', message });
  }
}

function noteContent(manifest: Manifest, findings: Finding[]): void {
  if (manifest.derived !== undefined) {
    const { at, masked } = manifest.derived;
    const hidden = masked ? '; areas that the terms hide are painted over' : '';
    findings.push({
      code: 'DERIVED',
      level: 'note',
      message: `a picture of ${at} that the box made of footage${hidden}`,
    });
  }
  for (const gap of manifest.gaps) {
    findings.push({
      code: 'GAP',
      level: 'note',
      message: `nothing was recorded from ${gap.from} to ${gap.to}: ${gap.reason}`,
    });
  }
  for (const segment of manifest.segments.filter((s) => s.recovered)) {
    const message = `segment ${segment.seq} was cut off by a power cut or crash and recovered`;
    findings.push({ code: 'RECOVERED', level: 'note', message, segment: segment.seq });
  }
  if (manifest.segments.some((segment) => segment.clock !== 'ntp')) {
    findings.push({ code: 'CLOCK', level: 'note', message: 'the clock of the box was not synchronised all the time' });
  }
}
