import type { AuditEntry } from '../../../contract/audit.js';
import type { PolicyDocument } from '../../../contract/policy.js';
import { get } from '../api.js';
import { h, type View } from '../dom.js';
import { when } from '../format.js';
import { badge, empty, errorNote, type Tone } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';
import { asksSection, technicianSection } from './asks.js';

const TONES: Record<AuditEntry['outcome'], Tone> = { granted: 'info', refused: 'bad', done: 'good', failed: 'warn' };

/** Accesses that show no picture. */
const MARKS: readonly string[] = ['timeline', 'motion'];

/** The owner's terms, and who looked. */
export function accessView(store: Store): View {
  const terms = h('div', { class: 'stack' });
  const looked = h('div', { class: 'list' });
  const name = (camera: string): string => store.cameras.find((entry) => entry.id === camera)?.name ?? camera;
  get<PolicyDocument>('/policy').then(
    (policy) => terms.replaceChildren(...describeTerms(store, policy)),
    (error: unknown) => terms.replaceChildren(errorNote(error)),
  );
  if (store.session.role === 'viewer') looked.append(h('p', { class: 'muted' }, t.access.onlyOwner));
  else {
    get<{ entries: AuditEntry[] }>('/audit', { limit: '200' }).then(
      ({ entries }) => looked.replaceChildren(...describeAudit(entries, name)),
      (error: unknown) => looked.replaceChildren(errorNote(error)),
    );
  }
  const element = h(
    'main',
    {},
    h('header', { class: 'title' }, h('h1', {}, t.access.title)),
    store.session.role === 'viewer' ? null : asksSection(store),
    h('section', { class: 'stack' }, h('h2', {}, t.access.terms), terms),
    store.session.role === 'viewer' ? null : technicianSection(store),
    h('section', { class: 'stack' }, h('h2', {}, t.access.who), looked),
  );
  return { element, destroy: () => undefined };
}

function describeTerms(store: Store, policy: PolicyDocument): HTMLElement[] {
  const rows = store.cameras.map((camera) => {
    const terms = policy.cameras.find((entry) => entry.camera === camera.id);
    const shared = terms !== undefined && terms.mode !== 'registry';
    const hours = (terms?.hours ?? [])
      .map((span) => `${span.days.map((day) => t.days[day]).join(', ')} ${span.from}–${span.to}`)
      .join('; ');
    return h(
      'li',
      {},
      h('strong', {}, camera.name),
      badge(shared ? 'info' : 'idle', terms === undefined ? t.access.notShared : t.access.mode[terms.mode]),
      shared ? h('span', { class: 'muted' }, hours === '' ? t.access.always : hours) : null,
      shared ? h('span', { class: 'muted' }, terms.autoClips ? t.access.autoClips : t.access.noAutoClips) : null,
    );
  });
  return [
    h('ul', { class: 'card terms' }, ...rows),
    h(
      'p',
      { class: 'muted small' },
      `${t.access.version(policy.version)}, ${t.access.authority[policy.authority]} · ${policy.timeZone}`,
    ),
  ];
}

interface Group {
  entry: AuditEntry;
  count: number;
}

/** What one person did over and over within a quarter of an hour is one line. */
function group(entries: readonly AuditEntry[]): Group[] {
  const groups: Group[] = [];
  for (const entry of entries) {
    const same = groups.find(
      ({ entry: other }) =>
        other.party === entry.party &&
        other.kind === entry.kind &&
        other.camera === entry.camera &&
        other.outcome === entry.outcome &&
        Date.parse(other.at) - Date.parse(entry.at) < 15 * 60_000,
    );
    if (same === undefined) groups.push({ entry, count: 1 });
    else same.count++;
  }
  return groups;
}

function describeAudit(entries: readonly AuditEntry[], name: (camera: string) => string): HTMLElement[] {
  const pictures = entries.filter((entry) => !(entry.outcome === 'granted' && MARKS.includes(entry.kind)));
  const marks = h('p', { class: 'muted small' }, t.access.marks);
  if (pictures.length === 0) return [empty('', t.access.empty), marks];
  const rows = group(pictures).map(({ entry, count }) =>
    h(
      'article',
      { class: 'card audit' },
      h(
        'div',
        {},
        h(
          'strong',
          {},
          entry.party === 'agent'
            ? t.access.agent
            : [entry.party, entry.agency].filter((part) => part !== null).join(', '),
        ),
        h(
          'span',
          {},
          [t.access.kind[entry.kind] ?? entry.kind, entry.camera === null ? '' : name(entry.camera)]
            .filter((text) => text !== '')
            .join(' · '),
        ),
        h(
          'span',
          { class: 'muted' },
          [when(Date.parse(entry.at)), count > 1 ? t.access.times(count) : '', entry.reason]
            .filter((text) => text !== '')
            .join(' · '),
        ),
      ),
      badge(
        TONES[entry.outcome],
        t.access.outcome[entry.outcome],
        entry.code === null ? '' : (t.access.code[entry.code] ?? entry.code),
      ),
    ),
  );
  return [...rows, marks];
}
