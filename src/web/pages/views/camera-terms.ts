import type { Camera } from '../../../contract/camera.js';
import type { AccessMode, CameraTerms } from '../../../contract/policy.js';
import { url } from '../api.js';
import { h } from '../dom.js';
import { wrong } from '../forms.js';
import { field } from '../parts.js';
import { t } from '../strings.js';
import { nothingOf, type DraftLine } from '../terms-draft.js';
import { hoursForm } from './hours.js';
import { masksForm } from './masks.js';

const MODES: AccessMode[] = ['registry', 'ask', 'emergency', 'clips', 'live'];

export interface CameraForm {
  element: HTMLElement;
  /** What is chosen for this camera; or the field that is not right, which is marked. */
  read(): CameraTerms[] | HTMLElement;
}

/** What the city may have of one camera, beside what the camera sees. */
export function cameraForm(camera: Camera, line: DraftLine): CameraForm {
  const body = h('div', { class: 'stack' });
  let current: Choices | null = null;
  const choose = (terms: CameraTerms): void => {
    current = choices(camera, terms);
    body.replaceChildren(current.element);
  };
  if (line.kept.length === 0) choose(line.chosen);
  else {
    const anew = h('button', { type: 'button', onclick: () => choose(nothingOf(camera.id)) }, t.choose.anew);
    body.replaceChildren(h('p', {}, t.choose.several), anew);
  }
  const picture = h('img', {
    src: url(`/cameras/${camera.id}/snapshot.jpg`, { role: 'sub' }),
    alt: t.choose.picture(camera.name),
    loading: 'lazy',
  });
  // A camera that does not answer now can be chosen for all the same.
  picture.addEventListener('error', () => picture.remove());
  return {
    element: h('article', { class: 'card stack choose', id: `terms-${camera.id}` }, h('h2', {}, camera.name), picture, body), // prettier-ignore
    read: () => current?.read() ?? line.kept,
  };
}

interface Choices {
  element: HTMLElement;
  read(): CameraTerms[] | HTMLElement;
}

function choices(camera: Camera, terms: CameraTerms): Choices {
  const modes = MODES.map((mode) => ({ mode, radio: radio(camera, mode, terms.mode === mode) }));
  const chosen = (): AccessMode => modes.find(({ radio: one }) => one.checked)?.mode ?? 'registry';
  const hours = hoursForm(terms.hours);
  const stills = check('stills', terms.stills);
  const sightings = check('sightings', terms.sightings);
  const autoClips = check('autoClips', terms.autoClips);
  const retention = h('input', {
    name: 'retention',
    inputmode: 'numeric',
    maxlength: 5,
    value: terms.retentionMaxDays === null ? '' : terms.retentionMaxDays,
  });
  const hidden = h('details', { class: 'hide' }, h('summary', {}, t.choose.hide(terms.masks.length)));
  const masks = { form: terms.masks.length > 0 ? masksForm(camera, terms.masks) : null };
  // The picture is asked for when somebody wants to draw on it.
  const showMasks = (): void => {
    masks.form ??= masksForm(camera, []);
    if (!masks.form.element.isConnected) hidden.append(masks.form.element);
  };
  hidden.addEventListener('toggle', showMasks);
  const gives = h('div', { class: 'stack' }, hours.element, tick(stills, t.choose.stills), tick(sightings, t.choose.sightings)); // prettier-ignore
  const unasked = tick(autoClips, t.choose.autoClips);
  gives.append(unasked);
  const details = h(
    'details',
    {},
    h('summary', {}, t.choose.more),
    h('div', { class: 'stack' }, gives, field(t.choose.retention, retention, t.choose.retentionHint)),
  );
  const show = (): void => {
    gives.hidden = chosen() === 'registry';
    unasked.hidden = chosen() === 'registry' || chosen() === 'ask';
  };
  const group = h(
    'fieldset',
    { class: 'modes', onchange: show },
    h('legend', {}, t.choose.may(camera.name)),
    ...modes.map(({ mode, radio: one }) => {
      const [label, text] = t.choose.mode[mode]!;
      return h('label', {}, one, h('span', {}, h('strong', {}, label), h('small', {}, text)));
    }),
  );
  show();
  return {
    element: h('div', { class: 'stack' }, group, details, hidden),
    read() {
      const read = hours.read();
      const days = retention.value.trim();
      const fault =
        read instanceof HTMLElement && !gives.hidden
          ? read
          : /^([1-9]\d{0,4})?$/.test(days)
            ? null
            : wrong(retention, t.choose.wrong.retention);
      if (fault !== null) {
        details.open = true;
        return fault;
      }
      const mode = chosen();
      const line = nothingOf(camera.id);
      const kept = { retentionMaxDays: days === '' ? null : Number(days), masks: masks.form?.read() ?? [] };
      if (mode === 'registry') return [{ ...line, ...kept }];
      return [
        {
          ...line,
          ...kept,
          mode,
          hours: read as CameraTerms['hours'],
          stills: stills.checked,
          sightings: sightings.checked,
          autoClips: autoClips.checked && mode !== 'ask',
        },
      ];
    },
  };
}

function radio(camera: Camera, mode: AccessMode, checked: boolean): HTMLInputElement {
  return h('input', { type: 'radio', name: `mode-${camera.id}`, value: mode, checked });
}

function check(name: string, checked: boolean): HTMLInputElement {
  return h('input', { type: 'checkbox', name, checked });
}

function tick(input: HTMLInputElement, label: string): HTMLElement {
  return h('label', { class: 'check' }, input, h('span', {}, label));
}
