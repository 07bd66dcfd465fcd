import type { Camera } from '../../../contract/camera.js';
import type { Clip } from '../../../contract/clip.js';
import type { RecordingsBody } from '../../../contract/http.js';
import { get, post, url } from '../api.js';
import { h, icon } from '../dom.js';
import { bytes, fromLocalInput, time, toLocalInput } from '../format.js';
import { dialog, errorNote, field, note } from '../parts.js';
import { t } from '../strings.js';

/** Takes footage out of the box: as a file now, or as a signed clip. */
export function saveDialog(camera: Camera, fromMs: number, toMs: number, mayClip: boolean): void {
  const input = (ms: number): HTMLInputElement =>
    h('input', { type: 'datetime-local', step: 1, required: true, value: toLocalInput(ms) });
  const from = input(fromMs);
  const to = input(toMs);
  const files = h('div', { class: 'stack' });
  const range = (): { camera: string; from: string; to: string } | null => {
    const [a, b] = [fromLocalInput(from.value), fromLocalInput(to.value)];
    if (!(a < b)) return null;
    return { camera: camera.id, from: new Date(a).toISOString(), to: new Date(b).toISOString() };
  };
  const look = async (): Promise<void> => {
    const asked = range();
    if (asked === null) return files.replaceChildren(note('warn', t.save.order));
    try {
      const { parts } = await get<RecordingsBody>('/recordings', asked);
      files.replaceChildren(...describe(asked, parts));
    } catch (error) {
      files.replaceChildren(errorNote(error));
    }
  };
  for (const element of [from, to]) element.addEventListener('change', () => void look());
  dialog(
    t.save.title(camera.name),
    h('div', { class: 'columns' }, field(t.save.from, from), field(t.save.to, to)),
    files,
    mayClip ? clipForm(range) : null,
  );
  void look();
}

function describe(asked: { camera: string; from: string; to: string }, parts: RecordingsBody['parts']): HTMLElement[] {
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || last === undefined) return [note('warn', t.save.nothing)];
  const link = (part: RecordingsBody['parts'][number], text: string): HTMLElement =>
    h(
      'a',
      {
        class: 'button primary',
        href: url('/export.mp4', { camera: asked.camera, from: part.from, to: part.to, run: part.run }),
        download: '',
      },
      icon('save'),
      text,
    );
  const at = (iso: string): string => time(Date.parse(iso));
  if (parts.length === 1) {
    return [
      link(first, t.save.download(bytes(first.bytes))),
      h('small', { class: 'muted' }, t.save.rounded(at(first.from), at(first.to))),
    ];
  }
  return [
    h('p', { class: 'muted' }, t.save.several),
    ...parts.map((part) => link(part, t.save.part(at(part.from), at(part.to), bytes(part.bytes)))),
  ];
}

function clipForm(range: () => { camera: string; from: string; to: string } | null): HTMLElement {
  const reason = h('input', { required: true, maxlength: 500, placeholder: t.save.reasonPlaceholder });
  const send = h('input', { type: 'checkbox' });
  const submit = h('button', { type: 'submit' }, t.save.make);
  const answer = h('div');
  const make = async (): Promise<void> => {
    const asked = range();
    if (asked === null) return answer.replaceChildren(note('warn', t.save.order));
    submit.disabled = true;
    try {
      await post<Clip>('/clips', { ...asked, reason: reason.value, send: send.checked });
      answer.replaceChildren(note('good', t.save.made), h('a', { class: 'button', href: '#/clips' }, t.save.toClips));
    } catch (error) {
      answer.replaceChildren(errorNote(error));
    } finally {
      submit.disabled = false;
    }
  };
  return h(
    'form',
    {
      class: 'stack boxed',
      onsubmit: (event: SubmitEvent) => {
        event.preventDefault();
        void make();
      },
    },
    h('h3', {}, t.save.proof),
    h('p', { class: 'muted' }, t.save.proofText),
    field(t.save.reason, reason),
    h('label', { class: 'check' }, send, t.save.send),
    answer,
    submit,
  );
}
