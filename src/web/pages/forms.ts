import { h, icon } from './dom.js';
import { t } from './strings.js';

/** A password that can be looked at while it is typed. `typed()`: without the blanks that a keyboard adds at the ends. */
export interface SecretInput {
  input: HTMLInputElement;
  element: HTMLElement;
  typed(): string;
}

export function secretInput(name: string, autocomplete: 'current-password' | 'new-password'): SecretInput {
  const input = h('input', {
    type: 'password',
    name,
    required: true,
    autocomplete,
    autocapitalize: 'off',
    spellcheck: 'false',
    maxlength: 200,
  });
  const show = h(
    'button',
    {
      class: 'icon-button',
      type: 'button',
      'aria-label': t.login.show,
      'aria-pressed': 'false',
      onclick: () => {
        input.type = input.type === 'password' ? 'text' : 'password';
        show.setAttribute('aria-pressed', String(input.type === 'text'));
      },
    },
    icon('eye'),
  );
  return { input, element: h('span', { class: 'with-button' }, input, show), typed: () => input.value.trim() };
}

/** Says below a field what is wrong with it, until somebody changes it. Gives the field, to put the cursor into it. */
export function wrong(input: HTMLElement, words: string): HTMLElement {
  const place = input.closest('.field, .check, .days, fieldset') ?? input;
  place.parentElement?.querySelectorAll(':scope > .wrong').forEach((old) => {
    if (old.previousElementSibling === place) old.remove();
  });
  const said = h('p', { class: 'wrong', role: 'alert' }, words);
  place.after(said);
  input.setAttribute('aria-invalid', 'true');
  const clear = (): void => {
    said.remove();
    input.removeAttribute('aria-invalid');
  };
  place.addEventListener('input', clear, { once: true });
  return input;
}
