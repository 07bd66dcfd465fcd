import type { z } from 'zod';
import type { IssuedReceiptBody, receiptsBody } from '../../../contract/owner.js';
import { get, post, url } from '../api.js';
import { h } from '../dom.js';
import { bytes, when } from '../format.js';
import { dialog, errorNote, note } from '../parts.js';
import { t } from '../strings.js';
import type { AccessPage } from './access.js';

const MOST_SHOWN = 50;

/** The way out of the program, and the receipts that the box gave. */
export function leaveSection(page: AccessPage): HTMLElement {
  const receipts = h('ul', { class: 'terms' });
  get<z.infer<typeof receiptsBody>>('/receipts').then(
    (body) => receipts.replaceChildren(...body.receipts.slice(0, MOST_SHOWN).map(receiptLine)),
    (error: unknown) => receipts.replaceChildren(errorNote(error)),
  );
  // A center may have claimed the box, also anew, before anybody consented to terms: it can be left all the same.
  const member = page.mayDecide && (page.sharing.enrolment === 'active' || page.claimed);
  return h(
    'section',
    { class: 'stack', id: 'leave' },
    h('h2', {}, t.leave.title),
    member
      ? h(
          'div',
          { class: 'card stack' },
          h('p', {}, t.leave.text),
          h('button', { class: 'danger', type: 'button', onclick: () => ask(page) }, t.leave.open),
        )
      : null,
    h('div', { class: 'card' }, h('h3', {}, t.leave.receipts), receipts),
  );
}

function receiptLine({ id, kind, madeMs }: z.infer<typeof receiptsBody>['receipts'][number]): HTMLElement {
  const name = t.leave.kind[kind] ?? kind;
  return h(
    'li',
    {},
    h('span', {}, `${name}, ${when(madeMs)}`),
    h('span', { class: 'spring' }),
    h('a', { class: 'button', href: url(`/receipts/${id}`), download: `receipt-${id}.json`, 'aria-label': `${t.leave.save}: ${name}, ${when(madeMs)}` }, t.leave.save), // prettier-ignore
  );
}

function ask(page: AccessPage): void {
  const erase = h('input', { type: 'checkbox', name: 'erase' });
  const answer = h('div');
  const leave = h('button', { class: 'danger', type: 'button', onclick: () => void go() }, t.leave.yes);
  const content = h(
    'div',
    { class: 'stack' },
    ...t.leave.what.map((words) => h('p', {}, words)),
    h('label', { class: 'check' }, erase, h('span', {}, t.leave.erase)),
    answer,
    h('div', { class: 'buttons' }, leave, h('button', { type: 'button', onclick: () => box.close() }, t.leave.stay)),
  );
  const box = dialog(t.leave.title, content);
  const go = async (): Promise<void> => {
    leave.disabled = true;
    answer.replaceChildren(note('info', t.leave.busy));
    try {
      const recordings = erase.checked ? 'erase' : 'keep';
      const issued = await post<IssuedReceiptBody>('/optout', { recordings });
      content.replaceChildren(...receipt(page, issued));
      page.changed();
    } catch (error) {
      leave.disabled = false;
      answer.replaceChildren(errorNote(error));
    }
  };
}

/** What the box states, with everything that was ever delivered. */
function receipt(page: AccessPage, { id, receipt: said }: IssuedReceiptBody): HTMLElement[] {
  const name = (camera: string): string => page.store.cameras.find((one) => one.id === camera)?.name ?? camera;
  const delivered = said.delivered.map(
    (one) =>
    h('li', {}, h('strong', {}, name(one.camera)), h('span', { class: 'muted' }, [`${when(Date.parse(one.from))} – ${when(Date.parse(one.to))}`, one.bytes === null ? '' : bytes(one.bytes), one.to_center, one.reason].filter((text) => text !== '').join(' · '))), // prettier-ignore
  );
  return [
    note('good', t.leave.done),
    ...said.words.map((words) => h('p', {}, words)),
    h('h3', {}, t.leave.delivered(said.delivered.length)),
    h('ul', { class: 'terms' }, ...delivered.slice(0, MOST_SHOWN)),
    h('p', { class: 'muted' }, t.leave.looks(said.looks.length)),
    h(
      'a',
      { class: 'button primary', href: url(`/receipts/${id}`), download: `receipt-${id}.json` },
      t.leave.saveReceipt,
    ),
    h('p', { class: 'muted small' }, t.leave.signed),
  ];
}
