import type { AuditDigest, AuditEntry, AuditVerdict } from '../../../contract/audit.js';
import { get, url } from '../api.js';
import { h } from '../dom.js';
import { bytes, when } from '../format.js';
import { badge, empty, errorNote, field, note, type Tone } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';

const TONES: Record<AuditEntry['outcome'], Tone> = { granted: 'info', refused: 'bad', done: 'good', failed: 'warn' };
/** Accesses that show no picture. */
const MARKS: readonly string[] = ['timeline', 'motion'];
const PAGE = 60;
const SAME_MS = 15 * 60_000;
const FIRST_YEAR = 2026;

type About = 'outside' | 'looks' | 'everything';

/** Who looked and when: the week in numbers, then the list. */
export function lookedSection(store: Store): HTMLElement {
  return h(
    'section',
    { class: 'stack', id: 'looked' },
    h('h2', {}, t.looked.title),
    weekCard(),
    list(store),
    yearCard(store),
    checkCard(),
  );
}

function weekCard(): HTMLElement {
  const shown = h('div', { class: 'card stack' }, h('h3', {}, t.looked.week));
  get<AuditDigest>('/audit/digest').then(
    ({ summary }) => shown.append(sentences(summary)),
    (error: unknown) => shown.append(errorNote(error)),
  );
  return shown;
}

function sentences(summary: readonly string[]): HTMLElement {
  return h('ul', { class: 'sentences' }, ...summary.map((words) => h('li', {}, words)));
}

function list(store: Store): HTMLElement {
  const rows = h('div', { class: 'list' });
  const more = h('button', { type: 'button', hidden: true, onclick: () => void read(true) }, t.looked.older);
  let about: About = 'looks';
  let before = 0;
  const read = async (older: boolean): Promise<void> => {
    try {
      const query: Record<string, string> = { limit: String(PAGE), about };
      if (older) query['before'] = String(before);
      const { entries } = await get<{ entries: AuditEntry[] }>('/audit', query);
      before = entries.at(-1)?.seq ?? 0;
      more.hidden = entries.length < PAGE;
      const cards = describe(store, entries, about);
      if (!older) rows.replaceChildren();
      rows.append(...cards);
      if (rows.childElementCount === 0) rows.append(empty('', t.looked.empty));
    } catch (error) {
      rows.replaceChildren(errorNote(error));
    }
  };
  const choices = (['outside', 'looks', 'everything'] as const).map((which) => {
    const choose = (): void => {
      about = which;
      for (const one of choices) one.setAttribute('aria-pressed', String(one === button));
      void read(false);
    };
    const button: HTMLButtonElement = h(
      'button',
      { type: 'button', 'aria-pressed': String(which === about), onclick: choose },
      t.looked.about[which],
    );
    return button;
  });
  void read(false);
  return h(
    'div',
    { class: 'stack' },
    h('div', { class: 'buttons choice', role: 'group', 'aria-label': t.looked.which }, ...choices),
    rows,
    more,
  );
}

function describe(store: Store, entries: readonly AuditEntry[], about: About): HTMLElement[] {
  const took = new Map<string, number>();
  for (const { ref, bytes: n } of entries) if (ref !== null) took.set(ref, (took.get(ref) ?? 0) + (n ?? 0));
  const shown = entries.filter(
    (entry) => entry.ref === null && (about !== 'looks' || entry.outcome === 'refused' || !MARKS.includes(entry.kind)),
  );
  return group(shown, took).map(({ entry, count, size }) =>
    entry.kind.includes('.') ? event(entry, count) : look(store, entry, count, size),
  );
}

interface Group {
  entry: AuditEntry;
  count: number;
  size: number;
}

/** What one person did over and over within a quarter of an hour is one line. */
function group(entries: readonly AuditEntry[], took: ReadonlyMap<string, number>): Group[] {
  const groups: Group[] = [];
  for (const entry of entries) {
    const size = took.get(entry.id) ?? 0;
    const same = groups.find(
      ({ entry: other }) =>
        other.party === entry.party &&
        other.agency === entry.agency &&
        other.kind === entry.kind &&
        other.camera === entry.camera &&
        other.outcome === entry.outcome &&
        other.reason === entry.reason &&
        Date.parse(other.at) - Date.parse(entry.at) < SAME_MS,
    );
    if (same === undefined) groups.push({ entry, count: 1, size });
    else {
      same.count++;
      same.size += size;
    }
  }
  return groups;
}

function look(store: Store, entry: AuditEntry, count: number, size: number): HTMLElement {
  const camera = store.cameras.find(({ id }) => id === entry.camera)?.name ?? entry.camera ?? '';
  const who = entry.party === 'agent' ? t.looked.unasked : [entry.party, entry.agency].filter(Boolean).join(', ');
  const what = [t.looked.kind[entry.kind] ?? entry.kind, camera, size === 0 ? '' : bytes(size)];
  const why = [entry.reason, entry.case === null ? '' : t.looked.caseNo(entry.case)];
  const code = entry.code === null ? '' : (t.looked.code[entry.code] ?? entry.code);
  return row(entry, [who, what, [when(Date.parse(entry.at)), count > 1 ? t.looked.times(count) : ''], why], code);
}

/** Its sentence begins with the time. */
function event(entry: AuditEntry, count: number): HTMLElement {
  const text = entry.words.replace(/^[\d-]+ [\d:]+: /, '');
  const sentence = text.slice(0, 1).toUpperCase() + text.slice(1);
  return row(entry, [sentence, [when(Date.parse(entry.at)), count > 1 ? t.looked.times(count) : '']], '');
}

function row(entry: AuditEntry, [first, ...others]: [string, ...string[][]], code: string): HTMLElement {
  const lines = others.map((parts) => parts.filter((text) => text !== '').join(' · '));
  return h(
    'article',
    { class: 'card audit' },
    h(
      'div',
      {},
      h('strong', {}, first),
      ...lines.map((text, i) => (text === '' ? null : h('span', { class: i === 0 ? '' : 'muted' }, text))),
    ),
    badge(TONES[entry.outcome], t.looked.outcome[entry.outcome], code),
  );
}

function yearCard(store: Store): HTMLElement {
  const thisYear = new Date(store.now()).getFullYear();
  const years = Array.from({ length: Math.max(1, thisYear - FIRST_YEAR + 1) }, (_, i) => String(thisYear - i));
  const year = h('select', { name: 'year' }, ...years.map((one) => h('option', { value: one }, one)));
  const shown = h('div');
  const show = (): void => {
    get<AuditDigest>('/audit/numbers', { year: year.value }).then(
      ({ summary }) => shown.replaceChildren(sentences(summary)),
      (error: unknown) => shown.replaceChildren(errorNote(error)),
    );
  };
  return h(
    'div',
    { class: 'card stack' },
    h('h3', {}, t.looked.year),
    h('p', { class: 'muted' }, t.looked.yearText),
    field(t.looked.whichYear, year),
    h('button', { type: 'button', onclick: show }, t.looked.show),
    shown,
  );
}

function checkCard(): HTMLElement {
  const answer = h('div');
  const check = (): void => {
    get<AuditVerdict>('/audit/verify').then(
      ({ rows, fault }) =>
        answer.replaceChildren(
          fault === null
            ? note('good', t.looked.whole(rows))
            : note('bad', t.looked.changed(fault.seq), fault.why), // prettier-ignore
        ),
      (error: unknown) => answer.replaceChildren(errorNote(error)),
    );
  };
  return h(
    'div',
    { class: 'card stack' },
    h('h3', {}, t.looked.check),
    h('p', { class: 'muted' }, t.looked.checkText),
    answer,
    h(
      'div',
      { class: 'buttons' },
      h('button', { type: 'button', onclick: check }, t.looked.checkNow),
      h('a', { class: 'button', href: url('/audit/export'), download: 'who-looked.ndjson' }, t.looked.copy),
    ),
  );
}
