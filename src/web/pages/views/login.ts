import type { SessionBody } from '../../../contract/http.js';
import { post } from '../api.js';
import { h, type View } from '../dom.js';
import { secretInput } from '../forms.js';
import { errorNote, field } from '../parts.js';
import { t } from '../strings.js';

export function loginView(done: (session: SessionBody) => void): View {
  const { input: code, element, typed } = secretInput('code', 'current-password');
  const submit = h('button', { class: 'primary', type: 'submit' }, t.login.submit);
  const wrong = h('div');
  const login = async (): Promise<void> => {
    submit.disabled = true;
    submit.textContent = t.login.busy;
    try {
      done(await post<SessionBody>('/login', { code: typed() }));
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
    field(t.login.code, element, t.login.hint),
    wrong,
    submit,
  );
  requestAnimationFrame(() => code.focus());
  return { element: h('main', { class: 'center' }, form), destroy: () => undefined };
}
