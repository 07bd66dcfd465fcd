import type { SessionBody } from '../../../contract/http.js';
import { post } from '../api.js';
import { h, icon, type View } from '../dom.js';
import { errorNote, field } from '../parts.js';
import { t } from '../strings.js';

export function loginView(done: (session: SessionBody) => void): View {
  const code = h('input', {
    type: 'password',
    name: 'code',
    required: true,
    autocomplete: 'current-password',
    autocapitalize: 'off',
    spellcheck: 'false',
    maxlength: 200,
  });
  const submit = h('button', { class: 'primary', type: 'submit' }, t.login.submit);
  const wrong = h('div');
  const show = h(
    'button',
    {
      class: 'icon-button',
      type: 'button',
      'aria-label': t.login.show,
      'aria-pressed': 'false',
      onclick: () => {
        code.type = code.type === 'password' ? 'text' : 'password';
        show.setAttribute('aria-pressed', String(code.type === 'text'));
      },
    },
    icon('eye'),
  );
  const login = async (): Promise<void> => {
    submit.disabled = true;
    submit.textContent = t.login.busy;
    try {
      done(await post<SessionBody>('/login', { code: code.value.trim() }));
    } catch (error) {
      wrong.replaceChildren(errorNote(error));
      code.select();
    } finally {
      submit.disabled = false;
      submit.textContent = t.login.submit;
    }
  };
  const form = h(
    'form',
    {
      class: 'card login',
      onsubmit: (event: SubmitEvent) => {
        event.preventDefault();
        void login();
      },
    },
    h('span', { class: 'lamp big', 'aria-hidden': 'true' }),
    h('h1', {}, t.product),
    h('p', { class: 'muted' }, t.login.lead),
    field(t.login.code, h('span', { class: 'with-button' }, code, show), t.login.hint),
    wrong,
    submit,
  );
  requestAnimationFrame(() => code.focus());
  return { element: h('main', { class: 'center' }, form), destroy: () => undefined };
}
