import type { CameraTerms, PolicyDocument } from '../contract/policy.js';
import { hoursInWords } from './preview.js';

export interface PolicyChange {
  /** Null: of the terms as a whole. */
  camera: string | null;
  field: string;
  before: string;
  after: string;
  /** Whether the city gets more by it. `open`: it cannot be said simply, so it counts as more. */
  gives: 'more' | 'less' | 'open';
}

const ORDER: CameraTerms['mode'][] = ['registry', 'ask', 'emergency', 'clips', 'live'];

/** What would change if `after` took the place of `before` (null: nothing was shared), for the owner to read. */
export function policyDifference(before: PolicyDocument | null, after: PolicyDocument): PolicyChange[] {
  const changes: PolicyChange[] = [];
  const add = (change: PolicyChange | null): void => {
    if (change !== null) changes.push(change);
  };
  add(changed(null, 'authority', before?.authority ?? '-', after.authority, 'open'));
  add(changed(null, 'timeZone', before?.timeZone ?? after.timeZone, after.timeZone, 'open'));
  const delay = [before?.notifyDelaySeconds ?? 0, after.notifyDelaySeconds] as const;
  add(changed(null, 'notifyDelaySeconds', `${delay[0]}`, `${delay[1]}`, delay[1] > delay[0] ? 'more' : 'less'));
  const cameras = new Set([...(before?.cameras ?? []), ...after.cameras].map((terms) => terms.camera));
  for (const camera of [...cameras].sort()) {
    const lines = (document: PolicyDocument | null): CameraTerms[] =>
      document?.cameras.filter((terms) => terms.camera === camera) ?? [];
    changes.push(...cameraDifference(camera, lines(before), lines(after)));
  }
  return changes;
}

function cameraDifference(camera: string, before: CameraTerms[], after: CameraTerms[]): PolicyChange[] {
  // Several lines for one camera have no natural pairing: then they are shown whole.
  if (before.length > 1 || after.length > 1) {
    const was = before.map(inWords).join(' | ') || 'registry';
    const one = changed(camera, 'terms', was, after.map(inWords).join(' | ') || 'registry', 'open');
    return one === null ? [] : [one];
  }
  const silent = { mode: 'registry', hours: [], stills: false, sightings: false, autoClips: false } as const;
  const a: Partial<CameraTerms> = before[0] ?? { ...silent, hours: [] };
  const b: Partial<CameraTerms> = after[0] ?? { ...silent, hours: [] };
  const rank = (terms: Partial<CameraTerms>): number => ORDER.indexOf(terms.mode!);
  const flag = (field: 'stills' | 'sightings' | 'autoClips'): PolicyChange | null =>
    changed(camera, field, yesNo(a[field]!), yesNo(b[field]!), b[field]! ? 'more' : 'less');
  const days = (terms: Partial<CameraTerms>): number => terms.retentionMaxDays ?? Infinity;
  const masks = (terms: Partial<CameraTerms>): string => JSON.stringify(terms.masks ?? []);
  return [
    changed(camera, 'mode', a.mode!, b.mode!, rank(b) > rank(a) ? 'more' : 'less'),
    changed(camera, 'hours', hoursInWords(a.hours!, 'en'), hoursInWords(b.hours!, 'en'), 'open'),
    flag('stills'),
    flag('sightings'),
    flag('autoClips'),
    changed(camera, 'retentionMaxDays', dayWords(a), dayWords(b), days(b) > days(a) ? 'more' : 'less'),
    changed(camera, 'masks', masks(a), masks(b), (b.masks?.length ?? 0) > (a.masks?.length ?? 0) ? 'less' : 'open'),
  ].filter((change) => change !== null);
}

function changed(
  camera: string | null,
  field: string,
  before: string,
  after: string,
  gives: PolicyChange['gives'],
): PolicyChange | null {
  return before === after ? null : { camera, field, before, after, gives };
}

function inWords(terms: CameraTerms): string {
  const extras = (['stills', 'sightings', 'autoClips'] as const).filter((field) => terms[field]);
  return [`${terms.mode} ${hoursInWords(terms.hours, 'en')}`, ...extras, dayWords(terms)].join(', ');
}

function dayWords(terms: Partial<CameraTerms>): string {
  return terms.retentionMaxDays === null || terms.retentionMaxDays === undefined
    ? 'as long as the disk holds'
    : `${terms.retentionMaxDays} days`;
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
