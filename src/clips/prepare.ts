import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import { signedManifest, type SignedManifest } from '../contract/clip.js';
import type { Grant } from '../contract/grant.js';
import type { DenialCode, Door, Party } from '../contract/policy.js';
import { streamId } from '../contract/primitives.js';
import type { Polygon } from '../media/mask.js';
import type { Signer } from '../proof/keys.js';
import type { StoredClip } from '../store/clips.js';
import { ClipFile } from './file.js';
import { MadeFile, type SendFile } from './made-file.js';
import { buildManifest, signManifest } from './manifest.js';
import type { FootagePlan, FootagePort, GatePort, PlannedFile, StillPort } from './ports.js';

export interface PrepareOptions {
  clock: Clock;
  site: string;
  box: string;
  signer: Signer;
  footage: FootagePort;
  gate: GatePort;
  cameraName: (camera: string) => string;
  clockOffsetMs: () => number | null;
  policyVersion: () => number;
  /** What the terms hide of a camera. */
  masks: (camera: string) => readonly Polygon[];
  stills: StillPort;
  /** How long after its end a clip waits for the segment that holds its end. */
  closeWaitMs: number;
}

export type Prepared =
  | { do: 'wait'; untilMs: number; why: string }
  | { do: 'withhold'; code: string; why: string }
  | { do: 'fail'; code: string; why: string }
  /** The range is several files: this one is the first, the others are clips of their own. */
  | { do: 'split'; first: PlannedFile; others: PlannedFile[] }
  | { do: 'ready'; grant: Grant; file: SendFile; planned: PlannedFile; sha256: string; manifest: SignedManifest };

/** In whose name the gate is asked. `sends`: the file is for the center, not for whoever asks. */
export interface Asker {
  party: Party;
  door: Door;
  sends?: boolean;
}

const REBUILD_LOOK_MS = 5_000;

const DENIALS: readonly string[] = [
  'POLICY_DENIED',
  'OUTSIDE_HOURS',
  'PAUSED_BY_OWNER',
  'OWNER_APPROVAL_REQUIRED',
  'NOT_ENROLLED',
] satisfies DenialCode[];

export function isDenial(error: unknown): error is BluelightError {
  return error instanceof BluelightError && DENIALS.includes(error.code);
}

export function roleOf(clip: { rendition: string }): 'main' | 'sub' {
  return clip.rendition === 'proxy' ? 'sub' : 'main';
}

/** From a row to a file with a signed manifest, under a grant for exactly the segments that it holds. */
export async function prepare(
  options: PrepareOptions,
  clip: StoredClip,
  who: Asker,
  signal: AbortSignal,
): Promise<Prepared> {
  const now = options.clock.now();
  const range = clip.covers ?? { fromMs: Date.parse(clip.from), toMs: Date.parse(clip.to) };
  if (now < range.toMs) return { do: 'wait', untilMs: range.toMs, why: 'the end of the range is still to come' };
  const stream = streamId(clip.camera, roleOf(clip));
  const plan = await options.footage.plan({ stream, ...range });
  if (plan.open && now < range.toMs + options.closeWaitMs) {
    return { do: 'wait', untilMs: now + 2_000, why: 'the last segment is still being written' };
  }
  if (plan.rebuilding && (plan.files.length !== 1 || plan.gaps.length > 0)) {
    return { do: 'wait', untilMs: now + REBUILD_LOOK_MS, why: 'the index of the recordings is being rebuilt' };
  }
  // What a clip was found to be it stays: two runs may tell of one time where the clock was set back.
  const [first, ...others] = clip.covers === null ? plan.files : nearest(plan.files, clip.covers);
  if (first === undefined) {
    const reason = plan.gaps[0]?.reason ?? 'not recorded';
    return { do: 'fail', code: 'NO_COVERAGE', why: `nothing of this range is recorded (${reason})` };
  }
  if (others.length > 0) return { do: 'split', first, others };
  // A part of what was asked tells of the gaps in all of it: the next part may never be asked for.
  const asked = { stream, fromMs: Date.parse(clip.from), toMs: Date.parse(clip.to) };
  const gaps = clip.covers === null ? plan.gaps : (await options.footage.plan(asked)).gaps;
  const granted = await ask(options, clip, who, first);
  if ('do' in granted) return granted;
  const { grant, planned } = granted;
  try {
    const file =
      clip.rendition === 'stills'
        ? await takeStill(options, clip, grant, signal)
        : new ClipFile(options.footage, stream, planned, grant);
    return {
      do: 'ready',
      grant,
      file,
      planned,
      ...(await proof(options, clip, who.party, granted, { ...plan, gaps }, file, signal)),
    };
  } catch (error) {
    await options.gate.finished(grant, { outcome: 'failed', bytes: 0, why: errorMessage(error) });
    throw error;
  }
}

/** The file that begins and ends closest to where this one did. */
function nearest(files: readonly PlannedFile[], { fromMs, toMs }: { fromMs: number; toMs: number }): PlannedFile[] {
  const off = (file: PlannedFile): number => Math.abs(file.startMs - fromMs) + Math.abs(file.endMs - toMs);
  return [...files].sort((a, b) => off(a) - off(b)).slice(0, 1);
}

/** The gate is asked for what would really leave. Segments that reach out of the hours are left out, not cut. */
async function ask(
  options: PrepareOptions,
  clip: StoredClip,
  who: Asker,
  planned: PlannedFile,
): Promise<{ grant: Grant; planned: PlannedFile } | Extract<Prepared, { do: 'withhold' }>> {
  const authorise = (file: PlannedFile): Promise<Grant> =>
    options.gate.authorise({
      ...who,
      ...(clip.rendition === 'stills' ? { kind: 'still', masksBurned: true } : { kind: 'clip' }),
      camera: clip.camera,
      range: { fromMs: file.startMs, toMs: file.endMs },
      reason: clip.reason,
      ...(clip.caseNo === null ? {} : { case: clip.caseNo }),
      ...(clip.job === null ? {} : { job: clip.job }),
    });
  try {
    return { grant: await authorise(planned), planned };
  } catch (error) {
    if (!isDenial(error)) throw error;
    const inner = error.code === 'OUTSIDE_HOURS' ? within(planned, Date.parse(clip.from), Date.parse(clip.to)) : null;
    if (inner === null) return { do: 'withhold', code: error.code, why: error.message };
    try {
      return { grant: await authorise(inner), planned: inner };
    } catch (second) {
      if (!isDenial(second)) throw second;
      return { do: 'withhold', code: second.code, why: second.message };
    }
  }
}

/** The segments that lie wholly inside of what was asked; null if that is none, or all. */
function within(file: PlannedFile, fromMs: number, toMs: number): PlannedFile | null {
  const segments = file.segments.filter((segment) => segment.startMs >= fromMs && segment.endMs <= toMs);
  if (segments.length === 0 || segments.length === file.segments.length) return null;
  const { anchor, ...rest } = file;
  const last = segments.at(-1)!;
  return {
    ...rest,
    // It belongs to the last segment of all; for one before that the ring is asked later.
    ...(anchor !== undefined && last === file.segments.at(-1) ? { anchor } : {}),
    startMs: segments[0]!.startMs,
    endMs: last.endMs,
    bytes: file.initBytes + segments.reduce((sum, segment) => sum + segment.bytes, 0),
    segments,
  };
}

/** Closed segments never change, so that what an earlier attempt hashed and signed is still true. */
async function proof(
  options: PrepareOptions,
  clip: StoredClip,
  party: Party,
  granted: { grant: Grant; planned: PlannedFile },
  plan: FootagePlan,
  file: SendFile,
  signal: AbortSignal,
): Promise<{ sha256: string; manifest: SignedManifest }> {
  const { planned, grant } = granted;
  const known = file instanceof MadeFile ? await sameAsBefore(clip, file) : hashedBefore(clip, planned, file);
  if (known !== undefined && clip.manifest !== null) {
    const kept = signedManifest.safeParse(JSON.parse(clip.manifest));
    const proved = planned.anchor === undefined || isAnchored(kept.data);
    if (kept.success && proved && kept.data.signatures[0]?.keyid === options.signer.keyId) {
      return { sha256: known, manifest: kept.data };
    }
  }
  const sha256 = known ?? (await file.hash(signal));
  const manifest = buildManifest(options.signer.keyId, {
    site: options.site,
    box: options.box,
    clip,
    cameraName: options.cameraName(clip.camera),
    role: roleOf(clip),
    file: planned,
    bytes: file.bytes,
    ...(file instanceof MadeFile ? { derived: file.derived } : {}),
    disk: plan.disk,
    gaps: gapsOf(plan, planned),
    offsets: file.offsets,
    sha256,
    grant: grant.id,
    party,
    clockOffsetMs: options.clockOffsetMs(),
    policyVersion: options.policyVersion(),
    madeMs: options.clock.now(),
  });
  return { sha256, manifest: signManifest(manifest, options.signer) };
}

function hashedBefore(clip: StoredClip, planned: PlannedFile, file: SendFile): string | undefined {
  const same = clip.covers?.fromMs === planned.startMs && clip.covers.toMs === planned.endMs;
  return same && clip.sha256 !== null && clip.bytes === file.bytes ? clip.sha256 : undefined;
}

/** Made again it may be another: other masks, or another decoder. */
async function sameAsBefore(clip: StoredClip, file: MadeFile): Promise<string | undefined> {
  const sha256 = await file.hash();
  return clip.sha256 === sha256 ? sha256 : undefined;
}

/** A single picture with everything painted over that the terms hide, in full size before anything else is done to it. */
async function takeStill(
  { stills, masks }: PrepareOptions,
  { camera, from }: StoredClip,
  grant: Grant,
  signal: AbortSignal,
): Promise<MadeFile> {
  const hidden = masks(camera);
  const picture = await stills.take(grant, 'main', Date.parse(from), signal, hidden);
  return new MadeFile(picture, grant, hidden, () => masks(camera));
}

function isAnchored(signed: SignedManifest | undefined): boolean {
  const payload: unknown = JSON.parse(Buffer.from(signed?.payload ?? 'e30=', 'base64').toString('utf8'));
  return typeof payload === 'object' && payload !== null && 'anchor' in payload;
}

/** Why the rest of what was asked for is not there; where hours cut the clip, nothing is told of what lies outside. */
function gapsOf({ files, gaps }: FootagePlan, { startMs, endMs, segments }: PlannedFile): FootagePlan['gaps'] {
  if (segments.length === files[0]?.segments.length) return gaps;
  return gaps.filter((gap) => gap.fromMs < endMs && gap.toMs > startMs);
}

/** Trouble with the footage itself: no later attempt mends it. */
export function isFinal(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'FOOTAGE_DAMAGED' || code === 'FOOTAGE_GONE' || code === 'NO_COVERAGE';
}
