import type { Camera } from '../../../contract/camera.js';
import type { CameraTestBody } from '../../../contract/http.js';
import { post, remove } from '../api.js';
import { Cleanup, h, icon, iconButton, type View } from '../dom.js';
import { bitrate, duration, fromLocalInput, toLocalInput, when } from '../format.js';
import { badge, dialog, empty, errorNote, note, recordingState, streamOf } from '../parts.js';
import { Player } from '../player.js';
import type { Store } from '../store.js';
import { t } from '../strings.js';
import { Timeline, type Loaded } from '../timeline.js';
import { isMissing } from '../timeline-draw.js';
import { saveDialog } from './save.js';

const ZOOMS = [
  { label: '10 min', ms: 600_000 },
  { label: '1 h', ms: 3_600_000 },
  { label: '6 h', ms: 21_600_000 },
  { label: '24 h', ms: 86_400_000 },
];
const MOST_EVENTS = 50;
/** Footage before what moved, so that one sees it coming. */
const BEFORE_MOTION_MS = 3_000;

/** `at`: where to start playing, ms since 1970; null for live. */
export function cameraView(store: Store, id: string, at: number | null): View {
  const camera = store.cameras.find((entry) => entry.id === id);
  if (camera === undefined) {
    const back = h('a', { class: 'button', href: '#/' }, t.camera.back);
    return { element: h('main', {}, empty('', t.camera.unknown, back)), destroy: () => undefined };
  }
  const cleanup = new Cleanup();
  const events = h('ul', { class: 'events' });
  const timeline: Timeline = new Timeline({
    store,
    camera: id,
    name: camera.name,
    spanMs: 3_600_000,
    mini: false,
    seek: (ms) => player.playFrom(ms),
    changed: (loaded, view) => tellEvents(events, loaded, view, (ms) => player.playFrom(ms)),
  });
  const player = new Player(store, camera, (head) => timeline.setHead(head));
  cleanup.add(() => timeline.destroy());
  cleanup.add(() => player.destroy());
  const save = (): void => {
    const head = player.head ?? store.now() - 60_000;
    saveDialog(camera, head - 30_000, Math.min(head + 60_000, store.now()), true);
  };
  const element = h(
    'main',
    { class: 'camera' },
    cameraTitle(store, camera, cleanup, save),
    h(
      'div',
      { class: 'two' },
      h(
        'div',
        { class: 'stack' },
        player.element,
        h('section', { class: 'card timeline-card' }, timelineTools(timeline, store), timeline.element, legend()),
      ),
      h(
        'div',
        { class: 'side' },
        h('section', { class: 'card' }, h('h2', {}, t.camera.events), events),
        h('section', { class: 'card' }, h('h2', {}, t.camera.details), ...details(store, camera, cleanup)),
      ),
    ),
  );
  if (at !== null && Number.isFinite(at)) {
    player.playFrom(at);
    timeline.goTo(at);
  }
  return { element, destroy: () => cleanup.run() };
}

function cameraTitle(store: Store, camera: Camera, cleanup: Cleanup, save: () => void): HTMLElement {
  const state = h('span');
  const tell = (): void => {
    const { tone, label, detail } = recordingState(streamOf(store.status, camera.id));
    state.replaceChildren(badge(tone, label, detail));
  };
  cleanup.add(store.on('status', tell));
  tell();
  return h(
    'header',
    { class: 'title' },
    h('a', { class: 'icon-button', href: '#/', 'aria-label': t.camera.back, title: t.camera.back }, icon('back')),
    h('h1', {}, camera.name),
    state,
    h('span', { class: 'spring' }),
    h(
      'button',
      { type: 'button', class: 'save', 'aria-label': t.camera.save, onclick: save },
      icon('save'),
      h('span', {}, t.camera.save),
    ),
  );
}

function timelineTools(timeline: Timeline, store: Store): HTMLElement {
  const zooms = ZOOMS.map(({ label, ms }) =>
    h('button', { type: 'button', 'aria-pressed': String(ms === 3_600_000), onclick: () => choose(ms) }, label),
  );
  const choose = (ms: number): void => {
    ZOOMS.forEach((zoom, i) => zooms[i]!.setAttribute('aria-pressed', String(zoom.ms === ms)));
    timeline.zoom(ms);
  };
  const jump = h('input', {
    type: 'datetime-local',
    step: 1,
    'aria-label': t.camera.goTo,
    title: t.camera.goTo,
    value: toLocalInput(store.now()),
  });
  jump.addEventListener('change', () => {
    const ms = fromLocalInput(jump.value);
    if (Number.isFinite(ms)) timeline.goTo(ms);
  });
  return h(
    'div',
    { class: 'tools' },
    h('div', { class: 'segmented', role: 'group', 'aria-label': t.camera.zoom }, ...zooms),
    h('span', { class: 'spring' }),
    jump,
    iconButton('left', t.camera.earlier, () => timeline.pan(-0.6)),
    iconButton('right', t.camera.later, () => timeline.pan(0.6)),
    h('button', { type: 'button', class: 'quiet', onclick: () => timeline.goToNow() }, t.camera.now),
  );
}

function legend(): HTMLElement {
  const key = (name: string, text: string): HTMLElement => h('span', {}, h('i', { class: name }), text);
  return h(
    'p',
    { class: 'legend', 'aria-hidden': 'true' },
    key('recorded', t.camera.recorded),
    key('motion', t.camera.motion),
    key('gap', t.camera.gap),
  );
}

function tellEvents(
  list: HTMLElement,
  loaded: Loaded,
  view: { fromMs: number; toMs: number },
  play: (ms: number) => void,
): void {
  const shown = loaded.motion.filter((mark) => mark.toMs > view.fromMs && mark.fromMs < view.toMs);
  const gaps = loaded.gaps.filter(
    (gap) => isMissing(gap) && gap.toMs > view.fromMs && gap.fromMs < view.toMs && gap.toMs - gap.fromMs > 1000,
  );
  const rows = [
    ...shown.map((mark) => ({
      at: mark.fromMs,
      label: t.camera.motion,
      mark,
      kind: 'motion',
      playAt: mark.fromMs - BEFORE_MOTION_MS,
    })),
    ...gaps.map((gap) => ({
      at: gap.fromMs,
      label: t.gap[gap.reason] ?? gap.reason,
      mark: gap,
      kind: 'gap',
      playAt: null,
    })),
  ].sort((a, b) => b.at - a.at);
  const key = rows.map((row) => `${row.at}:${Math.round(row.mark.toMs / 1000)}`).join();
  // The list is rebuilt only when it changed, so that a finger on it does not lose its row.
  if (list.dataset['key'] === key) return;
  list.dataset['key'] = key;
  if (rows.length === 0) return list.replaceChildren(h('li', { class: 'muted' }, t.camera.noEvents));
  list.replaceChildren(
    ...rows.slice(0, MOST_EVENTS).map(({ at, label, mark, kind, playAt }) => {
      const text = [
        h('i', { class: kind }),
        h('strong', {}, when(at)),
        h('span', {}, label),
        h('span', { class: 'muted' }, duration(mark.toMs - mark.fromMs)),
      ];
      return h(
        'li',
        {},
        playAt === null
          ? h('div', { class: 'row' }, ...text)
          : h('button', { class: 'row', type: 'button', onclick: () => play(playAt) }, ...text),
      );
    }),
  );
}

function details(store: Store, camera: Camera, cleanup: Cleanup): HTMLElement[] {
  const facts = h('dl', { class: 'facts' });
  const tell = (): void => {
    const rows: [string, string][] = [[`${camera.device.make} ${camera.device.model}`.trim(), camera.device.address]];
    for (const role of ['main', 'sub'] as const) {
      const stream = streamOf(store.status, camera.id, role);
      if (stream === undefined) continue;
      const size = stream.width > 0 ? `${stream.width}×${stream.height}` : '';
      const numbers =
        stream.state === 'recording'
          ? [size, `${Math.round(stream.fps)} fps`, bitrate(stream.bitrate)]
          : [recordingState(stream).label, stream.detail];
      rows.push([t.camera.stream[role], numbers.filter((part) => part !== '').join(' · ')]);
    }
    facts.replaceChildren(...rows.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
  };
  cleanup.add(store.on('status', tell));
  tell();
  if (store.session.role === 'viewer') return [facts];
  const answer = h('div');
  const test = h('button', { type: 'button', onclick: () => void runTest(camera, test, answer) }, t.camera.test);
  const removing = h(
    'button',
    { type: 'button', class: 'quiet danger', onclick: () => askRemove(camera) },
    t.camera.remove,
  );
  return [facts, answer, h('div', { class: 'actions' }, test, removing)];
}

async function runTest(camera: Camera, button: HTMLButtonElement, answer: HTMLElement): Promise<void> {
  button.disabled = true;
  button.textContent = t.camera.testing;
  try {
    const result = await post<CameraTestBody>(`/cameras/${camera.id}/test`);
    answer.replaceChildren(
      ...result.steps.map((step) => note(step.ok ? 'good' : 'bad', `${step.name}: ${step.detail}`, step.fix ?? '')),
    );
  } catch (error) {
    answer.replaceChildren(errorNote(error));
  } finally {
    button.disabled = false;
    button.textContent = t.camera.test;
  }
}

function askRemove(camera: Camera): void {
  const answer = h('div');
  const yes = async (): Promise<void> => {
    try {
      await remove(`/cameras/${camera.id}`);
      element.close();
      location.hash = '#/';
    } catch (error) {
      answer.replaceChildren(errorNote(error));
    }
  };
  const element = dialog(
    t.camera.removeTitle(camera.name),
    h('p', {}, t.camera.removeText),
    answer,
    h(
      'div',
      { class: 'actions' },
      h('button', { type: 'button', onclick: () => element.close() }, t.camera.keep),
      h('button', { type: 'button', class: 'danger', onclick: () => void yes() }, t.camera.removeYes),
    ),
  );
}
