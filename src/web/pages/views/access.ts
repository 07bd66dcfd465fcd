import type { z } from 'zod';
import type { sharingBody } from '../../../contract/owner.js';
import { get } from '../api.js';
import { Cleanup, h, type View } from '../dom.js';
import { errorNote } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';
import { asksSection, technicianSection } from './asks.js';
import { leaveSection } from './leave.js';
import { lookedSection } from './looked.js';
import { loginsSection, passphraseSection } from './logins.js';
import { pauseSection } from './pause.js';
import { proposalsSection, termsSection } from './terms.js';

export type Sharing = z.infer<typeof sharingBody>;

/** What the sections of this page need of each other. */
export interface AccessPage {
  store: Store;
  sharing: Sharing;
  /** Who may open again and leave for good: the owner; where the city owns the site, its technician. */
  mayDecide: boolean;
  /** Everything is read anew: terms, pause or membership are others now. */
  changed: () => void;
}

/** Everything about who may see what, and who did. */
export function accessView(store: Store): View {
  const cleanup = new Cleanup();
  const body = h('div', { class: 'stack access' });
  const draw = (): void => {
    get<Sharing>('/sharing').then(
      (sharing) => body.replaceChildren(...sections(store, sharing, draw)),
      (error: unknown) => body.replaceChildren(errorNote(error)),
    );
  };
  draw();
  return {
    element: h('main', {}, h('header', { class: 'title' }, h('h1', {}, t.access.title)), body),
    destroy: () => cleanup.run(),
  };
}

function sections(store: Store, sharing: Sharing, changed: () => void): (HTMLElement | string)[] {
  const { role } = store.session;
  if (role === 'viewer') return [termsSection(store), h('p', { class: 'muted' }, t.access.onlyOwner)];
  const mayDecide = role === 'owner' || sharing.owner === null;
  const page: AccessPage = { store, sharing, mayDecide, changed };
  return [
    pauseSection(page),
    asksSection(store),
    proposalsSection(page),
    lookedSection(store),
    termsSection(store),
    technicianSection(store),
    loginsSection(page),
    passphraseSection(page),
    leaveSection(page),
  ].filter((section) => section !== null);
}
