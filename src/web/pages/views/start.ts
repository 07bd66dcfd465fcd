import { ApiError, inWords, post } from '../api.js';
import { h } from '../dom.js';
import { secretInput, wrong } from '../forms.js';
import { badge, errorNote, field, note, type Tone } from '../parts.js';
import { t } from '../strings.js';
import type { AccessPage } from './access.js';

const SHORTEST_PASSPHRASE = 10;

interface Step {
  done: boolean;
  title: string;
  text: string;
  act: HTMLElement | null;
}

/** What is left to do until the owner's terms count; once they do: nothing. */
export function startSection(page: AccessPage): HTMLElement | null {
  const { sharing } = page;
  const settled = sharing.owner !== null || page.authority === 'city';
  if (settled && sharing.enrolment === 'active' && page.claimed) return null;
  // Who left is not asked back; a new claim on the page of the box begins anew.
  if (sharing.enrolment === 'ended' && !page.claimed) return null;
  const steps = [claimStep(page), ownerStep(page), termsStep(page)];
  const next = steps.findIndex(({ done }) => !done);
  return h(
    'section',
    { class: 'card stack', id: 'start' },
    h('h2', {}, t.start.title),
    h('p', { class: 'muted' }, t.start.lead),
    h('ol', { class: 'steps' }, ...steps.map((step, i) => line(step, i === next))),
  );
}

function line(step: Step, next: boolean): HTMLElement {
  const [tone, label]: [Tone, string] = step.done
    ? ['good', t.start.done]
    : next
      ? ['info', t.start.now]
      : ['idle', t.start.later];
  return h(
    'li',
    { class: 'stack' },
    h('div', { class: 'step' }, h('h3', {}, step.title), badge(tone, label)),
    step.done ? null : h('p', { class: 'muted' }, step.text),
    step.done ? null : step.act,
  );
}

function claimStep({ claimed }: AccessPage): Step {
  const act = h('a', { class: 'button', href: '#/box' }, t.start.claimGo);
  return { done: claimed, title: t.start.claim, text: t.start.claimText, act };
}

function ownerStep({ sharing }: AccessPage): Step {
  const place = h('div');
  const open = h('button', { class: 'primary', type: 'button' }, t.start.ownerGo);
  open.addEventListener('click', () => {
    const form = setUpForm();
    place.replaceChildren(form);
    form.querySelector('input')?.focus();
  });
  place.append(open);
  return { done: sharing.owner !== null, title: t.start.owner, text: t.start.ownerText, act: place };
}

function termsStep({ store, sharing }: AccessPage): Step {
  const act =
    store.session.role === 'owner'
      ? h('a', { class: 'button primary', href: '#/terms' }, t.start.termsGo)
      : sharing.owner === null
        ? null
        : h('p', {}, t.start.termsOnlyOwner);
  const done = sharing.owner !== null && sharing.enrolment === 'active';
  return { done, title: t.start.terms, text: t.start.termsText, act };
}

/** The owner chooses name and passphrase; the key that it locks is made on the box. He goes on to his terms, logged in. */
function setUpForm(): HTMLFormElement {
  const name = h('input', { name: 'owner', maxlength: 40, autocomplete: 'name' });
  const passphrase = secretInput('next', 'new-password');
  const again = secretInput('again', 'new-password');
  const understood = h('input', { type: 'checkbox', name: 'understood' });
  const answer = h('div', { 'aria-live': 'polite' });
  const submit = h('button', { class: 'primary', type: 'submit' }, t.setUp.submit);
  const refused = (): HTMLElement | null => {
    const words = t.setUp.wrong;
    const typed = passphrase.typed();
    const faults = [
      name.value.trim() === '' && wrong(name, words.name),
      [...typed].length < SHORTEST_PASSPHRASE && wrong(passphrase.input, words.short),
      again.typed() !== typed && wrong(again.input, words.differ),
      !understood.checked && wrong(understood, words.tick),
    ];
    return faults.find((fault) => fault !== false) ?? null;
  };
  const go = async (): Promise<void> => {
    const first = refused();
    if (first !== null) return first.focus();
    submit.disabled = true;
    answer.replaceChildren(note('info', t.setUp.busy));
    try {
      await post('/owner', { name: name.value.trim(), passphrase: passphrase.typed() });
    } catch (error) {
      submit.disabled = false;
      answer.replaceChildren();
      const at = error instanceof ApiError ? FIELDS[error.problem.code] : undefined;
      if (at === undefined) return answer.replaceChildren(errorNote(error));
      const { what, fix } = inWords(error);
      return wrong(at === 'name' ? name : passphrase.input, `${what}: ${fix}.`).focus();
    }
    await enterAsOwner(passphrase.typed());
  };
  const onsubmit = (event: SubmitEvent): void => {
    event.preventDefault();
    void go();
  };
  return h(
    'form',
    { class: 'stack', id: 'set-up', novalidate: true, onsubmit },
    h('h3', {}, t.setUp.title),
    h('p', {}, t.setUp.lead),
    field(t.setUp.name, name, t.setUp.nameHint),
    field(t.setUp.passphrase, passphrase.element, t.setUp.passphraseHint),
    field(t.setUp.again, again.element),
    note('warn', t.setUp.warn, t.setUp.warnText),
    h('label', { class: 'check' }, understood, h('span', {}, t.setUp.understood)),
    answer,
    submit,
  );
}

/** Which field an answer of the box speaks of. */
const FIELDS: Record<string, 'name' | 'passphrase'> = {
  LOGIN_NAME_BAD: 'name',
  LOGIN_TAKEN: 'name',
  PASSWORD_SHORT: 'passphrase',
};

/** The phone is his now: whose login it was before is over. If his own fails the page asks for it. */
async function enterAsOwner(code: string): Promise<void> {
  await post('/logout').catch(() => undefined);
  await post('/login', { code }).catch(() => undefined);
  location.hash = '#/terms';
  location.reload();
}
