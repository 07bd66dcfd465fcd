import type { IssuedCodeBody, LoginsBody } from '../../../contract/logins.js';
import type { IssuedReceiptBody } from '../../../contract/owner.js';
import { get, post, url } from '../api.js';
import { h } from '../dom.js';
import { secretInput } from '../forms.js';
import { when } from '../format.js';
import { actionForm, dialog, errorNote, field, note } from '../parts.js';
import { t } from '../strings.js';
import type { AccessPage } from './access.js';

type Login = LoginsBody['logins'][number];

const HOUR_S = 3_600;
/** The first is chosen unless somebody chooses another. */
const HOURS = [4, 1, 8, 24];

/** Who may log in. What somebody may not do here is not offered to him; the box refuses it all the same. */
export function loginsSection(page: AccessPage): HTMLElement {
  const list = h('ul', { class: 'card terms' });
  const show = async (): Promise<void> => {
    try {
      const { logins } = await get<LoginsBody>('/logins');
      list.replaceChildren(...logins.map((login) => row(page, login, show)));
    } catch (error) {
      list.replaceChildren(h('li', {}, errorNote(error)));
    }
  };
  void show();
  const owner = page.store.session.role === 'owner';
  return h(
    'section',
    { class: 'stack', id: 'logins' },
    h('h2', {}, t.logins.title),
    list,
    owner ? technicianCode(show) : null,
    page.mayDecide ? viewer(show) : h('p', { class: 'muted' }, t.logins.onlyOwner),
  );
}

function row(page: AccessPage, login: Login, show: () => Promise<void>): HTMLElement {
  const { session } = page.store;
  // Who removes himself where nobody else may decide has locked everybody out.
  const removable = page.mayDecide && login.role !== 'owner' && login.name !== session.name;
  const ends = login.expiresAt === null ? null : Date.parse(login.expiresAt);
  const until = ends === null ? '' : (ends > page.store.now() ? t.logins.until : t.logins.expired)(when(ends));
  return h(
    'li',
    {},
    h(
      'div',
      { class: 'clip-text' },
      h('strong', {}, login.name),
      h('span', { class: 'muted' }, [t.logins.role[login.role], until].filter((text) => text !== '').join(' · ')),
    ),
    removable
      ? h(
          'button',
          {
            type: 'button',
            'aria-label': `${t.logins.remove}: ${login.name}`,
            onclick: () => askRemove(login.name, show),
          },
          t.logins.remove,
        )
      : null,
  );
}

function askRemove(name: string, show: () => Promise<void>): void {
  const answer = h('div');
  const go = async (): Promise<void> => {
    try {
      await post('/logins/remove', { name });
      box.close();
      await show();
    } catch (error) {
      answer.replaceChildren(errorNote(error));
    }
  };
  const buttons = h(
    'div',
    { class: 'buttons' },
    h('button', { class: 'danger', type: 'button', onclick: () => void go() }, t.logins.remove),
    h('button', { type: 'button', onclick: () => box.close() }, t.logins.keep),
  );
  const box = dialog(
    t.logins.removeTitle(name),
    h('div', { class: 'stack' }, h('p', {}, t.logins.removeText), answer, buttons),
  );
}

const card = { class: 'card stack', button: '' };

function technicianCode(show: () => Promise<void>): HTMLElement {
  const hours = h('select', { name: 'hours' }, ...HOURS.map((n) => h('option', { value: n }, t.pause.hours(n))));
  const go = async (): Promise<HTMLElement> => {
    const { code, expiresAt } = await post<IssuedCodeBody>('/logins/technician', {
      seconds: Number(hours.value) * HOUR_S,
    });
    await show();
    return h(
      'div',
      { class: 'key' },
      h('span', { class: 'muted' }, t.logins.code(when(Date.parse(expiresAt)))),
      h('code', {}, code),
      h('span', { class: 'muted' }, t.logins.once),
    );
  };
  return actionForm(
    t.logins.newCode,
    go,
    card,
    h('h3', {}, t.logins.technician),
    field(t.logins.hours, hours, t.logins.replaces),
  );
}

function viewer(show: () => Promise<void>): HTMLElement {
  const name = h('input', { name: 'viewer', required: true, maxlength: 40, autocomplete: 'off' });
  const password = secretInput('viewer-password', 'new-password');
  const go = async (): Promise<HTMLElement> => {
    const who = name.value.trim();
    await post('/logins/viewer', { name: who, password: password.typed() });
    name.value = '';
    password.input.value = '';
    await show();
    return note('good', t.logins.added(who));
  };
  return actionForm(
    t.logins.add,
    go,
    card,
    h('h3', {}, t.logins.viewer),
    field(t.logins.name, name),
    field(t.logins.password, password.element, t.logins.passwordHint),
  );
}

/** The owner's passphrase: another one by who knows it, and the way out when nobody does. Without an owner: nothing. */
export function passphraseSection(page: AccessPage): HTMLElement | null {
  if (page.sharing.owner === null) return null;
  return h(
    'section',
    { class: 'stack', id: 'passphrase' },
    h('h2', {}, t.passphrase.title),
    page.store.session.role === 'owner' ? change(page) : null,
    h(
      'div',
      { class: 'card stack' },
      h('h3', {}, t.passphrase.lost),
      h('p', {}, t.passphrase.lostText),
      h('button', { class: 'danger', type: 'button', onclick: () => askLost(page) }, t.passphrase.lostOpen),
    ),
  );
}

function change(page: AccessPage): HTMLElement {
  const [before, next, again] = [
    secretInput('passphrase', 'current-password'),
    secretInput('next', 'new-password'),
    secretInput('again', 'new-password'),
  ];
  const go = async (): Promise<HTMLElement | void> => {
    if (next.typed() !== again.typed()) return note('bad', t.passphrase.differ, t.passphrase.differFix);
    await post('/owner/passphrase', { passphrase: before.typed(), next: next.typed() });
    // His sessions have ended with the old one: what is read next shows the login.
    page.changed();
  };
  return actionForm(
    t.passphrase.changeNow,
    go,
    card,
    h('h3', {}, t.passphrase.change),
    field(t.passphrase.present, before.element),
    field(t.passphrase.another, next.element, t.logins.passwordHint),
    field(t.passphrase.again, again.element, t.passphrase.newLogin),
  );
}

/** He who is logged in as the owner is logged out by it; the receipt is for whoever sets up the next one. */
function askLost(page: AccessPage): void {
  const reason = h('input', { name: 'reason', required: true, maxlength: 500 });
  const go = async (): Promise<void> => {
    const { id } = await post<IssuedReceiptBody>('/owner/lost', { reason: reason.value.trim() });
    const save = { class: 'button primary', href: url(`/receipts/${id}`), download: `receipt-${id}.json` };
    const mine = page.store.session.role === 'owner';
    content.replaceChildren(
      note('good', t.passphrase.done, mine ? t.passphrase.out : t.passphrase.then),
      mine ? '' : h('a', save, t.leave.saveReceipt),
    );
    page.changed();
  };
  const form = actionForm(t.passphrase.lostYes, go, { button: 'danger' }, field(t.passphrase.reason, reason));
  const content = h('div', { class: 'stack' }, ...t.passphrase.what.map((words) => h('p', {}, words)), form);
  dialog(t.passphrase.lost, content);
}
