import type { z } from 'zod';
import type { IdentityBody } from '../../../contract/identity.js';
import type { PolicyDocument } from '../../../contract/policy.js';
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
import { startSection } from './start.js';
import { proposalsSection, termsSection } from './terms.js';

export type Sharing = z.infer<typeof sharingBody>;

/** What the sections of this page need of each other. */
export interface AccessPage {
  store: Store;
  sharing: Sharing;
  /** Who signs the terms in force; null: there are none. */
  authority: PolicyDocument['authority'] | null;
  /** The box belongs to a center, whatever the terms say. */
  claimed: boolean;
  /** Who may open again and leave for good: the owner; where the city owns the site, its technician. */
  mayDecide: boolean;
  /** Everything is read anew: terms, pause or membership are others now. */
  changed: () => void;
}

/** Everything about who may see what, and who did. */
export function accessView(store: Store): View {
  const cleanup = new Cleanup();
  let parts = new Cleanup();
  cleanup.add(() => parts.run());
  const body = h('div', { class: 'stack access' });
  const draw = (): void => {
    read(store).then(
      (found) => {
        parts.run();
        parts = new Cleanup();
        body.replaceChildren(...sections({ store, ...found, changed: draw }, parts));
      },
      (error: unknown) => body.replaceChildren(errorNote(error)),
    );
  };
  draw();
  return {
    element: h('main', {}, h('header', { class: 'title' }, h('h1', {}, t.access.title)), body),
    destroy: () => cleanup.run(),
  };
}

type Found = Pick<AccessPage, 'sharing' | 'claimed' | 'authority'>;

async function read(store: Store): Promise<Found> {
  const sharing = await get<Sharing>('/sharing');
  if (store.session.role === 'viewer') return { sharing, claimed: false, authority: null };
  const [{ claim }, policy] = await Promise.all([get<IdentityBody>('/identity'), get<PolicyDocument>('/policy')]);
  const claimed = claim.state === 'pending' || claim.state === 'active';
  return { sharing, claimed, authority: policy.version === 0 ? null : policy.authority };
}

function sections(found: Omit<AccessPage, 'mayDecide'>, cleanup: Cleanup): (HTMLElement | string)[] {
  const { store, sharing } = found;
  const { role } = store.session;
  if (role === 'viewer') return [termsSection(store), h('p', { class: 'muted' }, t.access.onlyOwner)];
  const page: AccessPage = { ...found, mayDecide: role === 'owner' || sharing.owner === null };
  return [
    startSection(page),
    pauseSection(page),
    asksSection(store, cleanup),
    proposalsSection(page),
    lookedSection(store),
    termsSection(store),
    technicianSection(store),
    loginsSection(page),
    passphraseSection(page),
    leaveSection(page),
  ].filter((section) => section !== null);
}
