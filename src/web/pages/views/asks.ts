import type { z } from 'zod';
import type { approvalsBody } from '../../../contract/owner.js';
import { get, post, url } from '../api.js';
import { h, type Cleanup } from '../dom.js';
import { when } from '../format.js';
import { errorNote } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';

type Ask = z.infer<typeof approvalsBody>['approvals'][number];

const HOUR_MS = 3_600_000;

/** How often the box is asked whether somebody asks. */
const POLL_MS = 5_000;

async function waiting(): Promise<Ask[]> {
  return (await get<z.infer<typeof approvalsBody>>('/approvals')).approvals;
}

/** Requests of the city that wait for the owner: who asks, why, for what, and his own pictures of it. */
export function asksSection(store: Store, cleanup: Cleanup): HTMLElement {
  const list = h('div', { class: 'list', 'aria-live': 'polite' });
  let shown = '';
  const show = async (): Promise<void> => {
    try {
      const asks = await waiting();
      // What somebody is reading stays.
      const now = asks.map(({ id }) => id).join();
      if (now === shown && list.childElementCount > 0) return;
      shown = now;
      if (asks.length === 0) list.replaceChildren(h('p', { class: 'muted' }, t.asks.none));
      else list.replaceChildren(...asks.map((ask) => card(store, ask, show)));
    } catch (error) {
      if (list.childElementCount === 0) list.replaceChildren(errorNote(error));
    }
  };
  void show();
  cleanup.every(POLL_MS, () => void show());
  return h('section', { class: 'stack', id: 'asks' }, h('h2', {}, t.asks.title), list);
}

/** For the owner on any other view: that somebody waits for his answer. */
export function asksBanner(store: Store): { element: HTMLElement; stop: () => void } {
  const link = h('a', { class: 'asked', href: '#/access', hidden: true });
  const look = async (): Promise<void> => {
    const n = (await waiting()).length;
    link.hidden = n === 0;
    link.textContent = t.asks.banner(n);
  };
  // A box that does not answer is said elsewhere.
  const again = (): void => void look().catch(() => undefined);
  if (store.session.role !== 'owner') return { element: link, stop: () => undefined };
  again();
  const timer = setInterval(again, POLL_MS);
  return { element: link, stop: () => clearInterval(timer) };
}

function card(store: Store, ask: Ask, again: () => Promise<void>): HTMLElement {
  const name = store.cameras.find((camera) => camera.id === ask.camera)?.name ?? ask.camera;
  const answers = h('div', { class: 'buttons' });
  const answer = async (yes: boolean): Promise<void> => {
    try {
      await post(`/approvals/${ask.id}`, { yes });
      await again();
    } catch (error) {
      answers.replaceChildren(errorNote(error));
    }
  };
  if (store.session.role === 'owner') {
    answers.append(
      h('button', { class: 'primary', type: 'button', onclick: () => void answer(true) }, t.asks.yes),
      h('button', { type: 'button', onclick: () => void answer(false) }, t.asks.no),
    );
  }
  const who = [ask.operator, ask.agency, ask.role, ask.case === null ? '' : t.asks.caseNo(ask.case)];
  return h(
    'article',
    { class: 'card stack ask' },
    h('strong', {}, ask.reason),
    h('span', {}, who.filter((text) => text !== '').join(' · ')),
    h('span', { class: 'muted' }, `${t.looked.kind[ask.kind] ?? ask.kind} · ${name} · ${range(ask)}`),
    store.session.role === 'owner' && ask.kind !== 'live' ? pictures(ask, name) : null,
    h('span', { class: 'muted small' }, t.asks.until(when(Date.parse(ask.expiresAt)))),
    answers,
  );
}

function range({ from, to }: Ask): string {
  return `${when(Date.parse(from))} – ${when(Date.parse(to))}`;
}

/** The owner's own footage: its beginning, its middle and its end. What is not recorded is left out. */
function pictures(ask: Ask, name: string): HTMLElement {
  const from = Date.parse(ask.from);
  const to = Date.parse(ask.to);
  const shown = h('div', { class: 'stills' });
  for (const share of [0.25, 0.5, 0.75]) {
    const at = new Date(from + (to - from) * share).toISOString();
    const src = url(`/cameras/${ask.camera}/snapshot.jpg`, { role: 'sub', at });
    const image = h('img', { src, alt: `${name}, ${when(Date.parse(at))}`, loading: 'lazy' });
    image.addEventListener('error', () => image.remove());
    shown.append(image);
  }
  return shown;
}

/** At a site with an owner a technician sees pictures only while the owner lets him. */
export function technicianSection(store: Store): HTMLElement {
  const state = h('div', { class: 'stack' });
  const owner = store.session.role === 'owner';
  const set = async (until: string | null): Promise<void> => tell(await post('/technician', { until }));
  const change = (until: () => string | null) => (): void => {
    set(until()).catch((error: unknown) => state.append(errorNote(error)));
  };
  const tell = ({ until }: { until: string | null }): void => {
    const words = until === null ? t.technician.no : t.technician.until(when(Date.parse(until)));
    const allow = change(() => new Date(Date.now() + HOUR_MS).toISOString());
    state.replaceChildren(
      h('p', {}, words),
      h(
        'div',
        { class: 'buttons' },
        owner ? h('button', { type: 'button', onclick: allow }, t.technician.allow) : null,
        until === null ? null : h('button', { type: 'button', onclick: change(() => null) }, t.technician.end),
      ),
    );
  };
  get<{ until: string | null }>('/technician').then(tell, (error: unknown) => state.replaceChildren(errorNote(error)));
  return h('section', { class: 'stack', id: 'technician' }, h('h2', {}, t.technician.title), state);
}
