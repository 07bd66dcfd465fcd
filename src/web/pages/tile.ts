import type { Camera } from '../../contract/camera.js';
import { Cleanup, h, icon, type View } from './dom.js';
import { LiveView, type LiveState } from './live.js';
import { badge, recordingState, sightOf, streamOf } from './parts.js';
import { time } from './format.js';
import type { Store } from './store.js';
import { t } from './strings.js';
import { Timeline } from './timeline.js';

/** A tile that scrolls by quickly is not worth a connection. */
const LINGER_MS = 250;

/** One camera of the overview: live while it can be seen, its state, and its last hour. */
export function cameraTile(store: Store, camera: Camera): View {
  const cleanup = new Cleanup();
  const video = makeVideo(t.live.label(camera.name));
  const veil = h('p', { class: 'veil' }, t.live.connecting);
  const state = h('div', { class: 'corner top-left' });
  const moving = h('span', { class: 'badge info moving', hidden: true }, t.live.motion);
  const clock = h('span', { class: 'clock' });
  const picture = h(
    'div',
    { class: 'picture' },
    video,
    veil,
    state,
    h('div', { class: 'corner top-right' }, moving),
    h('div', { class: 'caption' }, h('strong', {}, camera.name), clock),
  );
  const strip = new Timeline({ store, camera: camera.id, name: camera.name, spanMs: 3_600_000, mini: true });
  cleanup.add(() => strip.destroy());
  const element = h(
    'a',
    { class: 'card tile', href: `#/camera/${camera.id}`, 'aria-label': t.cameras.open(camera.name) },
    picture,
    strip.element,
    h(
      'div',
      { class: 'strip-legend', 'aria-hidden': 'true' },
      h('span', {}, t.cameras.lastHour),
      h('span', {}, t.camera.now),
    ),
  );

  let live: LiveView | null = null;
  let seen = false;
  let later: ReturnType<typeof setTimeout> | undefined;
  const show = (next: LiveState): void => {
    picture.classList.toggle('playing', next.kind === 'playing');
    veil.replaceChildren(...liveText(next));
  };
  const update = (): void => {
    const wanted = seen && !document.hidden;
    if (wanted && live === null) live = new LiveView(video, camera.id, camera.sub === null ? 'main' : 'sub', show);
    if (!wanted && live !== null) {
      live.close();
      live = null;
      picture.classList.remove('playing');
    }
  };
  const watcher = new IntersectionObserver(([entry]) => {
    seen = entry?.isIntersecting ?? false;
    clearTimeout(later);
    later = setTimeout(update, LINGER_MS);
  });
  watcher.observe(picture);
  cleanup.add(() => watcher.disconnect());
  cleanup.add(() => clearTimeout(later));
  cleanup.add(() => live?.close());
  cleanup.listen(document, 'visibilitychange', update);

  const tellState = (): void => {
    const { tone, label, detail } = recordingState(streamOf(store.status, camera.id));
    const blind = tone === 'good' ? sightOf(store.status, camera.id) : undefined;
    state.replaceChildren(blind ?? badge(tone, label, tone === 'good' ? '' : detail));
    element.classList.toggle('broken', tone === 'bad' || blind !== undefined);
  };
  const tellMotion = (): void => {
    const on = store.moving.has(camera.id);
    moving.hidden = !on;
    element.classList.toggle('moving', on);
  };
  cleanup.add(store.on('status', tellState));
  cleanup.add(store.on('motion', tellMotion));
  cleanup.every(1_000, () => (clock.textContent = live?.shownAt === null || live === null ? '' : time(live.shownAt)));
  tellState();
  tellMotion();
  return { element, destroy: () => cleanup.run() };
}

export function makeVideo(label: string): HTMLVideoElement {
  const video = h('video', { playsinline: true, autoplay: true, 'aria-label': label });
  video.muted = true;
  return video;
}

/** What stands over the picture while there is none. */
export function liveText(state: LiveState): Node[] {
  if (state.kind === 'connecting') return [new Text(t.live.connecting)];
  if (state.kind === 'unsupported') return [icon('warn'), new Text(t.live.unsupported(state.codec))];
  if (state.kind === 'paused') return [icon('warn'), new Text(state.text)];
  if (state.kind === 'refused') return [icon('warn'), new Text(`${state.text} ${state.fix}`.trim())];
  return [];
}
