import type { CameraTerms, PolicyDocument } from '../../contract/policy.js';

/** Terms while somebody chooses them: one line for each camera that there is. */
export interface TermsDraft {
  timeZone: string;
  notifyDelaySeconds: number;
  lines: DraftLine[];
}

export interface DraftLine {
  camera: string;
  /** Several rules of one camera for different hours, which the form cannot show: they are kept as they are. */
  kept: CameraTerms[];
  chosen: CameraTerms;
}

/** What is not chosen gives nothing. */
export function nothingOf(camera: string): CameraTerms {
  return {
    camera,
    mode: 'registry',
    hours: [],
    stills: false,
    sightings: false,
    autoClips: false,
    retentionMaxDays: null,
    masks: [],
  };
}

/** @param timeZone of this device: taken where nobody chose terms yet */
export function draftFrom(policy: PolicyDocument, cameras: readonly { id: string }[], timeZone: string): TermsDraft {
  const fresh = policy.version === 0;
  return {
    timeZone: fresh ? timeZone : policy.timeZone,
    notifyDelaySeconds: policy.notifyDelaySeconds,
    lines: cameras.map(({ id }) => {
      const lines = policy.cameras.filter(({ camera }) => camera === id);
      return {
        camera: id,
        kept: lines.length > 1 ? lines : [],
        chosen: structuredClone(lines.length === 1 ? lines[0]! : nothingOf(id)),
      };
    }),
  };
}

/** The document to be shown and signed. Its version is given by the box. */
export function documentOf(draft: TermsDraft, before: PolicyDocument): PolicyDocument {
  return {
    version: before.version + 1,
    authority: 'owner',
    timeZone: draft.timeZone,
    notifyDelaySeconds: draft.notifyDelaySeconds,
    cameras: draft.lines.flatMap(({ kept, chosen }) => (kept.length > 0 ? kept : [chosen])),
  };
}
