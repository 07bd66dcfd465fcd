import type { StatusBody } from '../../contract/http.js';
import type { StreamStatus } from '../../contract/camera.js';
import { inWords } from './api.js';
import { h, icon } from './dom.js';
import { duration } from './format.js';
import { t } from './strings.js';

export type Tone = 'good' | 'warn' | 'bad' | 'idle' | 'info';

export function toneOf(state: string): Tone {
  if (state === 'recording') return 'good';
  if (state === 'starting') return 'warn';
  return state === 'disabled' ? 'idle' : 'bad';
}

/** Recording is claimed from what is saved: more than this without a byte on the disk is not "recording". */
const STALE_MS = 10_000;

export interface RecordingState {
  tone: Tone;
  label: string;
  detail: string;
}

/** State of one stream in words, with the age of what was last saved. */
export function recordingState(stream: StreamStatus | undefined): RecordingState {
  if (stream === undefined) return { tone: 'idle', label: t.state['starting']!, detail: '' };
  const stale = stream.state === 'recording' && (stream.ageMs === null || stream.ageMs > STALE_MS);
  const tone = stale ? 'warn' : toneOf(stream.state);
  const age = stream.ageMs === null ? '' : stream.ageMs < 3_000 ? t.justSaved : t.age(duration(stream.ageMs));
  const label = t.state[stale ? 'stalled' : stream.state] ?? stream.state;
  if (tone === 'good') return { tone, label, detail: age };
  return { tone, label, detail: stream.ageMs === null ? stream.detail : t.since(duration(stream.ageMs)) };
}

export function streamOf(
  status: StatusBody | null,
  camera: string,
  role: 'main' | 'sub' = 'main',
): StreamStatus | undefined {
  return status?.streams.find((stream) => stream.camera === camera && stream.role === role);
}

/** That a camera is recorded and does not see, or not as it should. */
export function sightOf(status: StatusBody | null, camera: string): HTMLElement | undefined {
  const found = status?.problems.find((problem) => problem.camera === camera && problem.code in t.sight);
  if (found === undefined) return undefined;
  return badge(found.severity === 'critical' ? 'bad' : 'warn', t.sight[found.code]!);
}

export function badge(tone: Tone, label: string, detail = ''): HTMLElement {
  return h(
    'span',
    { class: `badge ${tone}` },
    h('span', { class: 'dot', 'aria-hidden': 'true' }),
    h('span', {}, label),
    detail === '' ? null : h('span', { class: 'detail' }, detail),
  );
}

/** An error in words, and what to do. */
export function errorNote(error: unknown): HTMLElement {
  const { what, fix } = inWords(error);
  return note('bad', what, fix);
}

export function note(tone: Tone, what: string, fix = ''): HTMLElement {
  return h(
    'div',
    { class: `note ${tone}`, role: tone === 'bad' ? 'alert' : 'status' },
    icon(tone === 'good' ? 'check' : 'warn'),
    h('div', {}, h('p', {}, what), fix === '' ? null : h('p', { class: 'fix' }, fix)),
  );
}

export function empty(title: string, text: string, ...actions: HTMLElement[]): HTMLElement {
  return h('div', { class: 'empty' }, title === '' ? null : h('h2', {}, title), h('p', {}, text), ...actions);
}

export function field(label: string, input: HTMLElement, hint = ''): HTMLElement {
  return h('label', { class: 'field' }, h('span', {}, label), input, hint === '' ? null : h('small', {}, hint));
}

/**
 * A form with one button. What `go` resolves to stands in the place of the answer; what it rejects with, in words.
 * @param look `busy`: said while it runs; `error`: how an error is shown
 */
export function actionForm(
  label: string,
  go: () => Promise<HTMLElement | void>,
  look: { class?: string; button?: string; busy?: string; error?: (error: unknown) => HTMLElement },
  ...fields: HTMLElement[]
): HTMLFormElement {
  const answer = h('div', { 'aria-live': 'polite' });
  const submit = h('button', { class: look.button ?? 'primary', type: 'submit' }, label);
  const run = async (): Promise<void> => {
    submit.disabled = true;
    answer.replaceChildren(...(look.busy === undefined ? [] : [note('info', look.busy)]));
    try {
      const said = await go();
      answer.replaceChildren(...(said === undefined ? [] : [said]));
    } catch (error) {
      answer.replaceChildren((look.error ?? errorNote)(error));
    } finally {
      submit.disabled = false;
    }
  };
  const onsubmit = (event: SubmitEvent): void => {
    event.preventDefault();
    void run();
  };
  return h('form', { class: look.class ?? 'stack', onsubmit }, ...fields, answer, submit);
}

export function bar(share: number, tone: Tone = 'info', label = ''): HTMLElement {
  const percent = Math.round(Math.min(1, Math.max(0, share)) * 100);
  const fill = h('span', { class: tone });
  fill.style.width = `${percent}%`;
  return h(
    'div',
    {
      class: 'bar',
      role: 'progressbar',
      'aria-valuenow': percent,
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'aria-label': label,
    },
    fill,
  );
}

/** A dialog of the browser: focus stays in it, Escape closes it. */
export function dialog(title: string, ...content: (HTMLElement | null)[]): HTMLDialogElement {
  const element = h(
    'dialog',
    { 'aria-label': title },
    h(
      'header',
      {},
      h('h2', {}, title),
      h(
        'button',
        { class: 'icon-button', type: 'button', 'aria-label': t.close, onclick: () => element.close() },
        icon('plus'),
      ),
    ),
    ...content,
  );
  element.addEventListener('close', () => element.remove());
  element.addEventListener('click', (event) => event.target === element && element.close());
  document.body.append(element);
  element.showModal();
  return element;
}
