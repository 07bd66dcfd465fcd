import type { IssuedReceiptBody } from '../../../contract/owner.js';
import type { CameraTerms, PolicyDocument } from '../../../contract/policy.js';
import { get, post, url } from '../api.js';
import { h, icon, type View } from '../dom.js';
import { secretInput, wrong } from '../forms.js';
import { actionForm, empty, errorNote, field, note } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';
import { documentOf, draftFrom, type TermsDraft } from '../terms-draft.js';
import { cameraForm } from './camera-terms.js';
import { changesList, previewTable, type Preview } from './terms.js';

/** The owner chooses his terms, sees what they mean, and signs. Nothing counts before that. */
export function chooseView(store: Store): View {
  const body = h('div', { class: 'stack access', id: 'choose' });
  const show = async (): Promise<void> => {
    const policy = await get<PolicyDocument>('/policy');
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    body.replaceChildren(...choosing(store, policy, draftFrom(policy, store.cameras, timeZone), body));
  };
  if (store.session.role !== 'owner') body.append(empty('', t.choose.onlyOwner));
  else if (store.cameras.length === 0)
    body.append(empty('', t.choose.noCameras, h('a', { class: 'button primary', href: '#/add' }, t.cameras.find))); // prettier-ignore
  else show().catch((error: unknown) => body.replaceChildren(errorNote(error)));
  const back = h('a', { class: 'icon-button', href: '#/access', 'aria-label': t.choose.back }, icon('back'));
  return {
    element: h('main', {}, h('header', { class: 'title' }, back, h('h1', {}, t.choose.title)), body),
    destroy: () => undefined,
  };
}

function choosing(store: Store, before: PolicyDocument, draft: TermsDraft, body: HTMLElement): HTMLElement[] {
  const forms = draft.lines.map((line) =>
    cameraForm(
      store.cameras.find(({ id }) => id === line.camera)!,
      line,
    ),
  );
  const zone = h('select', { name: 'timeZone' }, ...zones(draft.timeZone).map((name) => h('option', { value: name, selected: name === draft.timeZone }, name))); // prettier-ignore
  const delay = h('select', { name: 'delay' }, ...delays(draft.notifyDelaySeconds).map(([seconds, words]) => h('option', { value: seconds, selected: seconds === draft.notifyDelaySeconds }, words))); // prettier-ignore
  const chosen = h('div', { class: 'stack access' });
  const meaning = h('div', { class: 'stack', 'aria-live': 'polite' });
  const see = async (): Promise<void> => {
    const read = forms.map((form) => form.read());
    const fault = read.find((one) => one instanceof HTMLElement);
    if (fault !== undefined) {
      fault.focus();
      fault.scrollIntoView({ block: 'center' });
      return;
    }
    const cameras = (read as CameraTerms[][]).flat();
    const settled = { timeZone: zone.value, notifyDelaySeconds: Number(delay.value), lines: [] };
    const document = { ...documentOf(settled, before), cameras };
    const preview = await post<Preview>('/policy/preview', { document });
    const change = (): void => {
      chosen.hidden = false;
      meaning.replaceChildren();
      window.scrollTo(0, 0);
    };
    meaning.replaceChildren(...meant(store, { before, document, preview }, change, body));
    chosen.hidden = true;
    window.scrollTo(0, 0);
  };
  const whole = h('section', { class: 'card stack' }, h('h2', {}, t.choose.site), field(t.choose.timeZone, zone), field(t.choose.delay, delay)); // prettier-ignore
  const form = actionForm(t.choose.see, see, {}, ...forms.map(({ element }) => element), whole);
  form.noValidate = true;
  chosen.append(h('p', {}, t.choose.lead), form);
  return [chosen, meaning];
}

interface Meant {
  before: PolicyDocument;
  document: PolicyDocument;
  preview: Preview;
}

function meant(
  store: Store,
  { before, document, preview }: Meant,
  change: () => void,
  body: HTMLElement,
): HTMLElement[] {
  const passphrase = secretInput('passphrase', 'current-password');
  const sign = async (): Promise<void> => {
    if (passphrase.typed() === '') return wrong(passphrase.input, t.choose.wrong.passphrase).focus();
    const asked = { document, passphrase: passphrase.typed() };
    body.replaceChildren(...signed(await post<IssuedReceiptBody>('/policy/accept', asked)));
    window.scrollTo(0, 0);
  };
  const form = actionForm(
    t.choose.sign,
    sign,
    { class: 'card stack', busy: t.proposal.busy },
    field(t.proposal.passphrase, passphrase.element, t.proposal.passphraseHint),
  );
  form.noValidate = true;
  form.append(h('button', { type: 'button', onclick: change }, t.choose.change));
  return [
    h('h2', {}, t.choose.means),
    h('div', { class: 'card stack', id: 'means' }, ...preview.words.map((words) => h('p', {}, words))),
    previewTable(preview),
    ...(before.version === 0 ? [] : [h('h2', {}, t.choose.different), h('div', { class: 'card' }, changesList(store, preview.changes))]), // prettier-ignore
    form,
  ];
}

function signed({ id, receipt }: IssuedReceiptBody): HTMLElement[] {
  return [
    note('good', t.choose.saved, t.choose.savedText),
    h('div', { class: 'card stack', id: 'signed' }, ...receipt.words.map((words) => h('p', {}, words))),
    h(
      'div',
      { class: 'buttons' },
      h('a', { class: 'button', href: url(`/receipts/${id}`), download: `receipt-${id}.json` }, t.leave.saveReceipt),
      h('button', { type: 'button', onclick: () => window.print() }, t.choose.print),
      h('a', { class: 'button primary', href: '#/access' }, t.choose.toAccess),
    ),
  ];
}

/** All that this browser knows, and the one that counts. */
function zones(now: string): string[] {
  return [...new Set([now, 'UTC', ...Intl.supportedValuesOf('timeZone')])].sort();
}

function delays(now: number): [number, string][] {
  if (t.choose.delays.some(([seconds]) => seconds === now)) return t.choose.delays;
  return [...t.choose.delays, [now, t.choose.delayOther(now)]];
}
