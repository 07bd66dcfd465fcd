import type { Camera, Discovered } from '../../../contract/camera.js';
import type { DiscoveryBody } from '../../../contract/http.js';
import { get, post } from '../api.js';
import { Cleanup, h, icon, type View } from '../dom.js';
import { badge, dialog, errorNote, field, note } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';

const POLL_MS = 1_000;

export function addView(store: Store): View {
  const cleanup = new Cleanup();
  const state = h('p', { class: 'muted', role: 'status' });
  const list = h('div', { class: 'list' });
  const again = h(
    'button',
    { type: 'button', class: 'save', 'aria-label': t.add.again, onclick: () => void scan() },
    icon('search'),
    h('span', {}, t.add.again),
  );
  const show = (found: DiscoveryBody): void => {
    state.textContent = found.running
      ? t.add.scanning
      : found.devices.length === 0
        ? t.add.none
        : t.add.found(found.devices.length);
    again.disabled = found.running;
    list.replaceChildren(...found.devices.map((device) => row(store, device)));
  };
  let running = false;
  const scan = async (): Promise<void> => {
    state.textContent = t.add.scanning;
    running = true;
    try {
      show(await post<DiscoveryBody>('/discovery/scan'));
    } catch (error) {
      list.replaceChildren(errorNote(error));
      running = false;
    }
  };
  const poll = async (): Promise<void> => {
    if (!running) return;
    try {
      const found = await get<DiscoveryBody>('/discovery/devices');
      running = found.running;
      show(found);
    } catch (error) {
      running = false;
      list.replaceChildren(errorNote(error));
    }
  };
  cleanup.every(POLL_MS, () => void poll());
  void scan();
  const element = h(
    'main',
    {},
    h(
      'header',
      { class: 'title' },
      h('a', { class: 'icon-button', href: '#/', 'aria-label': t.camera.back, title: t.camera.back }, icon('back')),
      h('h1', {}, t.add.title),
      again,
    ),
    state,
    list,
    h('section', { class: 'card stack' }, h('h2', {}, t.add.byAddress), addForm(store, '', '')),
  );
  return { element, destroy: () => cleanup.run() };
}

function row(store: Store, device: Discovered): HTMLElement {
  const name = device.name === '' ? device.address : device.name;
  const add = (): void => void dialog(name, addForm(store, device.xaddrs[0] ?? device.address, ''));
  const action = device.adopted
    ? badge('good', t.add.adopted)
    : h(
        'button',
        { type: 'button', disabled: !device.reachable, onclick: add, 'aria-label': `${t.add.submit}: ${name}` },
        icon('plus'),
        t.add.submit,
      );
  return h(
    'article',
    { class: 'card clip' },
    h(
      'div',
      { class: 'clip-text' },
      h('strong', {}, name),
      h(
        'span',
        { class: 'muted' },
        [device.address, device.hardware, device.interface].filter((part) => part !== '').join(' · '),
      ),
      device.reachable ? null : h('span', { class: 'warn-text' }, t.add.unreachable),
    ),
    action,
  );
}

function addForm(store: Store, address: string, name: string): HTMLElement {
  const fields = {
    address: h('input', {
      required: true,
      value: address,
      placeholder: t.add.addressPlaceholder,
      autocapitalize: 'off',
      spellcheck: 'false',
      maxlength: 300,
    }),
    username: h('input', { autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', maxlength: 100 }),
    password: h('input', { type: 'password', autocomplete: 'new-password', maxlength: 200 }),
    name: h('input', { value: name, placeholder: t.add.namePlaceholder, maxlength: 80 }),
  };
  const submit = h('button', { class: 'primary', type: 'submit' }, t.add.submit);
  const answer = h('div');
  const add = async (): Promise<void> => {
    submit.disabled = true;
    submit.textContent = t.add.busy;
    try {
      const named = fields.name.value.trim();
      const body = { address: fields.address.value, username: fields.username.value, password: fields.password.value };
      const { cameras } = await post<{ cameras: Camera[] }>('/devices', named === '' ? body : { ...body, name: named });
      fields.password.value = '';
      answer.replaceChildren(note('good', t.add.done(cameras.map((camera) => camera.name).join(', '))));
      await store.refreshCameras();
    } catch (error) {
      answer.replaceChildren(errorNote(error));
    } finally {
      submit.disabled = false;
      submit.textContent = t.add.submit;
    }
  };
  return h(
    'form',
    {
      class: 'stack',
      onsubmit: (event: SubmitEvent) => {
        event.preventDefault();
        void add();
      },
    },
    field(t.add.address, fields.address),
    h(
      'div',
      { class: 'columns' },
      field(t.add.username, fields.username),
      field(t.add.password, fields.password, t.add.secret),
    ),
    field(t.add.name, fields.name),
    answer,
    submit,
  );
}
