import type { Clip } from '../../../contract/clip.js';
import type { QueueBody } from '../../../contract/http.js';
import { get, url } from '../api.js';
import { Cleanup, h, icon, type IconName, type View } from '../dom.js';
import { bytes, duration, when } from '../format.js';
import { badge, bar, empty, errorNote, type Tone } from '../parts.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';

const TONES: Record<Clip['state'], Tone> = {
  queued: 'idle',
  uploading: 'info',
  delivered: 'good',
  failed: 'bad',
  withheld: 'warn',
  local: 'idle',
};

export function clipsView(store: Store): View {
  const cleanup = new Cleanup();
  const summary = h('p', { class: 'muted' });
  const list = h('div', { class: 'list' });
  const clips = new Map<string, Clip>();
  const draw = (): void => {
    const sorted = [...clips.values()].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
    const waiting = sorted.filter((clip) => clip.state === 'queued' || clip.state === 'uploading');
    const left = waiting.reduce((sum, clip) => sum + Math.max(0, (clip.bytes ?? 0) - clip.sentBytes), 0);
    summary.textContent = waiting.length === 0 ? t.clips.queueEmpty : t.clips.queue(waiting.length, bytes(left));
    if (sorted.length === 0) list.replaceChildren(empty('', t.clips.empty));
    else list.replaceChildren(...sorted.map((clip) => row(store, clip)));
  };
  const load = async (): Promise<void> => {
    try {
      const [all, queue] = await Promise.all([get<{ clips: Clip[] }>('/clips'), get<QueueBody>('/queue')]);
      for (const clip of [...all.clips, ...queue.clips]) clips.set(clip.id, clip);
      draw();
    } catch (error) {
      list.replaceChildren(errorNote(error));
    }
  };
  cleanup.add(
    store.on('clip', (clip) => {
      clips.set(clip.id, clip);
      draw();
    }),
  );
  list.append(h('p', { class: 'muted', role: 'status' }, t.loading));
  void load();
  const element = h('main', {}, h('header', { class: 'title' }, h('h1', {}, t.clips.title)), summary, list);
  return { element, destroy: () => cleanup.run() };
}

function row(store: Store, clip: Clip): HTMLElement {
  const name = store.cameras.find((camera) => camera.id === clip.camera)?.name ?? clip.camera;
  const from = Date.parse(clip.from);
  const facts = [
    duration(Date.parse(clip.to) - from),
    clip.bytes === null ? '' : bytes(clip.bytes),
    clip.motionEvent === null ? '' : t.clips.auto,
  ];
  const sending = clip.state === 'uploading' && clip.bytes !== null && clip.bytes > 0;
  const share = sending ? clip.sentBytes / clip.bytes! : 0;
  const label = (what: string): Record<string, string> => ({
    'aria-label': `${what}: ${name}, ${when(from)}`,
    title: what,
  });
  const there = clip.bytes !== null && clip.state !== 'withheld' && clip.state !== 'failed';
  return h(
    'article',
    { class: 'card clip' },
    h(
      'div',
      { class: 'clip-text' },
      h('span', { class: 'clip-name' }, h('strong', {}, name), badge(TONES[clip.state], t.clips.state[clip.state])),
      h('span', {}, when(from)),
      h('span', { class: 'muted' }, facts.filter((fact) => fact !== '').join(' · ')),
      clip.detail === '' ? null : h('span', { class: 'muted' }, clip.detail),
    ),
    h('a', { class: 'icon-button', href: `#/camera/${clip.camera}/${from}`, ...label(t.clips.show) }, icon('play')),
    there ? file(`/clips/${clip.id}/file`, '', label(t.clips.download), 'save') : null,
    there ? file(`/clips/${clip.id}/manifest`, `${clip.id}.json`, label(t.clips.manifest), 'access') : null,
    sending ? bar(share, 'info', t.clips.progress(Math.round(share * 100))) : null,
  );
}

function file(path: string, name: string, label: Record<string, string>, picture: IconName): HTMLElement {
  return h('a', { class: 'icon-button', href: url(path), download: name, ...label }, icon(picture));
}
