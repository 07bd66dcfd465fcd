import type { z } from 'zod';
import type { previewBody, proposalsBody } from '../../../contract/owner.js';
import type { PolicyDocument } from '../../../contract/policy.js';
import { get, post } from '../api.js';
import { h } from '../dom.js';
import { secretInput } from '../forms.js';
import { badge, errorNote, field, note, type Tone } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';
import type { AccessPage } from './access.js';

export type Preview = z.infer<typeof previewBody>;
type Proposal = z.infer<typeof proposalsBody>['proposals'][number];

const TONES: Record<string, Tone> = { no: 'idle', yes: 'info', owner: 'warn', emergency: 'warn' };

/** The terms in force: in words, and as a table of what the city can do with each camera. */
export function termsSection(store: Store): HTMLElement {
  const shown = h('div', { class: 'stack' });
  const read = async (): Promise<void> => {
    const policy = await get<PolicyDocument>('/policy');
    const preview = await post<Preview>('/policy/preview', { document: policy });
    const from =
      policy.version === 0
        ? t.terms.none
        : `${t.terms.version(policy.version)}, ${t.terms.authority[policy.authority]} · ${policy.timeZone}`;
    shown.replaceChildren(
      h('div', { class: 'card stack' }, ...preview.words.map((words) => h('p', {}, words))),
      previewTable(preview),
      h('p', { class: 'muted small' }, from),
    );
  };
  read().catch((error: unknown) => shown.replaceChildren(errorNote(error)));
  const title = store.session.role === 'owner' ? t.terms.title : t.terms.titleOthers;
  const change = h('a', { class: 'button', href: '#/terms' }, t.terms.change);
  return h(
    'section',
    { class: 'stack', id: 'terms' },
    h('h2', {}, title),
    shown,
    store.session.role === 'owner' ? change : null,
  );
}

const KINDS = ['live', 'clips', 'stills', 'unasked'] as const;

export function previewTable({ table: rows }: Preview): HTMLElement {
  const cell = (answer: unknown): HTMLElement =>
    h('td', { class: TONES[String(answer)] ?? 'idle' }, t.terms.answer[String(answer)] ?? String(answer));
  return h(
    'div',
    { class: 'card wide', tabindex: '0', role: 'region', 'aria-label': t.terms.table },
    h(
      'table',
      {},
      h('thead', {}, h('tr', {}, h('th', {}, t.terms.camera), ...KINDS.map((kind) => h('th', {}, t.terms.kind[kind])))),
      h(
        'tbody',
        {},
        ...rows.map((row) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, String(row['name']), h('small', {}, String(row['when']))),
            ...KINDS.map((kind) => cell(row[kind])),
          ),
        ),
      ),
    ),
  );
}

/** Terms that somebody proposes: what they would change, before anybody consents. Nothing waits: nothing is shown. */
export function proposalsSection(page: AccessPage): HTMLElement {
  const section = h('section', { class: 'stack', id: 'proposals', hidden: true });
  get<{ proposals: Proposal[] }>('/policy/proposed').then(
    ({ proposals }) => {
      section.hidden = proposals.length === 0;
      section.replaceChildren(h('h2', {}, t.proposal.title), ...proposals.map((one) => card(page, one)));
    },
    (error: unknown) => section.replaceChildren(errorNote(error)),
  );
  return section;
}

function card(page: AccessPage, proposal: Proposal): HTMLElement {
  return h(
    'article',
    { class: 'card stack proposal' },
    h('p', {}, t.proposal.lead),
    proposal.note === '' ? null : h('p', {}, t.proposal.note(proposal.note)),
    changesList(page.store, proposal.changes),
    h('h3', {}, t.proposal.whole),
    ...proposal.words.map((words) => h('p', {}, words)),
    page.store.session.role === 'owner' ? sign(page, proposal) : h('p', { class: 'muted' }, t.proposal.onlyOwner),
  );
}

/** Corners say nothing to anybody: how many areas, as the box counts them. */
function areas(text: unknown): string {
  const read: unknown = JSON.parse(String(text));
  return t.proposal.areas(Array.isArray(read) ? read.length : 0);
}

/** What terms would change, and whether the city sees more or less by it. */
export function changesList(store: Store, changes: Preview['changes']): HTMLElement {
  if (changes.length === 0) return h('p', { class: 'muted' }, t.proposal.nothing);
  const name = (id: unknown): string => {
    const camera = store.cameras.find((entry) => entry.id === id);
    return id === null ? t.proposal.allCameras : (camera?.name ?? String(id));
  };
  const value = (text: unknown): string => t.terms.mode[String(text)] ?? String(text);
  const lines = changes.map((change) => {
    const gives = String(change['gives']);
    const field = t.proposal.field[String(change['field'])] ?? String(change['field']);
    const say = change['field'] === 'masks' ? areas : value;
    return h(
      'li',
      {},
      h('strong', {}, name(change['camera'])),
      badge(gives === 'less' ? 'good' : 'warn', t.proposal.gives[gives] ?? gives),
      h('span', { class: 'change' }, `${field}: `, h('del', {}, say(change['before'])), ' → ', h('ins', {}, say(change['after']))), // prettier-ignore
    );
  });
  return h('ul', { class: 'terms' }, ...lines);
}

function sign(page: AccessPage, proposal: Proposal): HTMLElement {
  const passphrase = secretInput('passphrase', 'current-password');
  const answer = h('div');
  const run = (work: () => Promise<unknown>): void => {
    work().then(page.changed, (error: unknown) => answer.replaceChildren(errorNote(error)));
  };
  const accept = (event: SubmitEvent): void => {
    event.preventDefault();
    answer.replaceChildren(note('info', t.proposal.busy));
    run(() => post('/policy/accept', { document: proposal.document, passphrase: passphrase.typed() }));
  };
  const aside = (): void => run(() => post('/policy/decline', { id: proposal.id }));
  return h(
    'form',
    { class: 'stack', onsubmit: accept },
    field(t.proposal.passphrase, passphrase.element, t.proposal.passphraseHint),
    answer,
    h(
      'div',
      { class: 'buttons' },
      h('button', { class: 'primary', type: 'submit' }, t.proposal.accept),
      h('button', { type: 'button', onclick: aside }, t.proposal.decline),
    ),
  );
}
