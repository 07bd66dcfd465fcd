import type { Camera } from '../../contract/camera.js';
import { Cleanup, h, icon, iconButton, type View } from './dom.js';
import { duration, when } from './format.js';
import { LiveView } from './live.js';
import { PlaybackView } from './playback.js';
import type { Store } from './store.js';
import { t } from './strings.js';
import { liveText, makeVideo } from './tile.js';

const SPEEDS = [0.5, 1, 2, 4, 8];
/** Nearer to now than this, playback goes over to live: a segment of 10 s can be played when it is closed. */
const LIVE_EDGE_MS = 25_000;

/** One camera large: live, or footage from any moment. */
export class Player implements View {
  readonly element: HTMLElement;
  readonly #store: Store;
  readonly #camera: Camera;
  readonly #moved: (head: number | null) => void;
  readonly #video: HTMLVideoElement;
  readonly #picture: HTMLElement;
  readonly #veil = h('p', { class: 'veil' });
  readonly #toast = h('p', { class: 'toast', role: 'status', hidden: true });
  readonly #clock = h('span', { class: 'clock' });
  readonly #liveButton: HTMLButtonElement;
  readonly #playButton: HTMLButtonElement;
  readonly #speedButton: HTMLButtonElement;
  readonly #cleanup = new Cleanup();
  #live: LiveView | null = null;
  #playback: PlaybackView | null = null;
  #speed = 1;
  #toastTimer: ReturnType<typeof setTimeout> | undefined;
  /** The browser could not show the main stream. */
  #subOnly = false;

  constructor(store: Store, camera: Camera, moved: (head: number | null) => void) {
    this.#store = store;
    this.#camera = camera;
    this.#moved = moved;
    this.#video = makeVideo(t.live.label(camera.name));
    this.#liveButton = h(
      'button',
      { class: 'live-button', type: 'button', onclick: () => this.goLive() },
      h('span', { class: 'dot' }),
      t.live.live,
    );
    this.#playButton = iconButton('pause', t.camera.pause, () => this.#toggle());
    this.#speedButton = h(
      'button',
      {
        class: 'speed',
        type: 'button',
        'aria-label': t.camera.speed,
        title: t.camera.speed,
        onclick: () => this.#faster(),
      },
      '1×',
    );
    this.#picture = h(
      'div',
      { class: 'picture' },
      this.#video,
      this.#veil,
      this.#toast,
      h('div', { class: 'caption' }, h('strong', {}, camera.name), this.#clock),
    );
    const controls = h(
      'div',
      { class: 'controls' },
      iconButton('back10', t.camera.back10, () => this.skip(-10_000)),
      this.#playButton,
      iconButton('forward10', t.camera.forward10, () => this.skip(10_000)),
      this.#speedButton,
      h('span', { class: 'spring' }),
      this.#liveButton,
      iconButton('full', t.camera.fullscreen, () => this.#fullscreen()),
    );
    this.element = h('div', { class: 'player' }, this.#picture, controls);
    for (const type of ['play', 'pause'] as const) this.#cleanup.listen(this.#video, type, () => this.#tellPlaying());
    this.#cleanup.listen(document, 'visibilitychange', () => this.#onVisibility());
    this.#cleanup.every(250, () => this.#tellTime());
    this.#cleanup.add(() => this.#stop());
    this.#cleanup.add(() => clearTimeout(this.#toastTimer));
    this.goLive();
  }

  destroy(): void {
    this.#cleanup.run();
  }

  /** Wall clock of what is shown; null while live. */
  get head(): number | null {
    if (this.#playback !== null) return this.#playback.shownAt;
    return this.#live?.held === true ? this.#live.shownAt : null;
  }

  goLive(): void {
    this.#stop();
    this.#setSpeed(1);
    this.element.classList.add('is-live');
    this.#moved(null);
    const role = this.#subOnly && this.#camera.sub !== null ? 'sub' : 'main';
    this.#live = new LiveView(
      this.#video,
      this.#camera.id,
      role,
      (state) => {
        this.#picture.classList.toggle('playing', state.kind === 'playing');
        this.#veil.replaceChildren(...liveText(state));
        if (state.kind === 'unsupported') this.#useSub(() => this.goLive());
      },
      () => this.#toDisk(),
    );
  }

  playFrom(ms: number): void {
    const now = this.#store.now();
    if (this.#live?.seek(ms) === true) {
      this.element.classList.remove('is-live');
      this.#moved(ms);
      return void this.#video.play().catch(() => undefined);
    }
    if (ms > now - LIVE_EDGE_MS / 2) return this.goLive();
    this.#stop();
    this.element.classList.remove('is-live');
    this.#moved(ms);
    const role = this.#subOnly && this.#camera.sub !== null ? 'sub' : 'main';
    this.#playback = new PlaybackView(this.#video, this.#camera.id, role, Math.round(ms), Math.round(now), {
      at: (shown) => this.#moved(shown),
      waiting: (waiting) => {
        this.#picture.classList.toggle('playing', !waiting);
        this.#veil.textContent = waiting ? t.loading : '';
      },
      gap: (fromMs, toMs, reason) => this.#tellGap(fromMs, toMs, reason),
      failed: (what, fix) => {
        this.#picture.classList.remove('playing');
        this.#veil.replaceChildren(icon('warn'), new Text(`${what} ${fix}`.trim()));
        if (/^(hvc1|hev1)/.test(what)) this.#useSub(() => this.playFrom(ms));
      },
      caughtUp: () => this.#goOn(),
    });
    this.#video.playbackRate = this.#speed;
  }

  skip(by: number): void {
    this.playFrom((this.head ?? this.#live?.shownAt ?? this.#store.now()) + by);
  }

  /** From what the browser kept of live to what the box keeps. */
  #toDisk(): void {
    const at = this.head ?? this.#store.now();
    this.#stop();
    this.playFrom(at);
  }

  #useSub(again: () => void): void {
    if (this.#subOnly || this.#camera.sub === null) return;
    this.#subOnly = true;
    this.#say(t.camera.subOnly);
    setTimeout(again, 0);
  }

  #goOn(): void {
    const at = this.head;
    if (at === null) return;
    if (this.#store.now() - at < LIVE_EDGE_MS) this.goLive();
    else this.playFrom(at + 100);
  }

  #stop(): void {
    this.#live?.close();
    this.#playback?.close();
    this.#live = null;
    this.#playback = null;
    this.#picture.classList.remove('playing');
  }

  #onVisibility(): void {
    if (document.hidden && this.#live !== null) this.#stop();
    else if (!document.hidden && this.#live === null && this.#playback === null) this.goLive();
  }

  #toggle(): void {
    if (this.#live !== null && !this.#video.paused) {
      this.#live.hold();
      this.element.classList.remove('is-live');
    } else if (this.#video.paused) void this.#video.play();
    else this.#video.pause();
  }

  #faster(): void {
    if (this.#live !== null) return;
    this.#setSpeed(SPEEDS[(SPEEDS.indexOf(this.#speed) + 1) % SPEEDS.length]!);
  }

  #setSpeed(speed: number): void {
    this.#speed = speed;
    this.#video.playbackRate = speed;
    this.#video.defaultPlaybackRate = speed;
    this.#speedButton.textContent = `${speed}×`;
  }

  #tellPlaying(): void {
    const paused = this.#video.paused;
    const label = paused ? t.camera.play : t.camera.pause;
    this.#playButton.replaceChildren(icon(paused ? 'play' : 'pause'));
    this.#playButton.setAttribute('aria-label', label);
    this.#playButton.title = label;
  }

  #tellTime(): void {
    const shown = this.#live === null ? this.head : this.#live.shownAt;
    if (this.#live !== null) {
      this.element.classList.toggle('is-live', !this.#live.held);
      this.#moved(this.head);
    }
    this.#clock.textContent = shown === null ? '' : when(shown);
    this.#speedButton.disabled = this.#live !== null;
  }

  #tellGap(fromMs: number, toMs: number, reason: string): void {
    const words = t.gap[reason] ?? t.gap['unknown']!;
    if (this.#playback !== null && this.#video.buffered.length === 0) {
      if (this.#store.now() - fromMs < LIVE_EDGE_MS) return this.goLive();
      this.#picture.classList.remove('playing');
      this.#veil.replaceChildren(icon('warn'), new Text(t.camera.noFootage(words)));
      return;
    }
    this.#say(`${t.camera.skipped(when(fromMs), when(toMs), words)} (${duration(toMs - fromMs)})`);
  }

  #say(text: string): void {
    this.#toast.textContent = text;
    this.#toast.hidden = false;
    clearTimeout(this.#toastTimer);
    this.#toastTimer = setTimeout(() => (this.#toast.hidden = true), 6_000);
  }

  #fullscreen(): void {
    if (document.fullscreenElement !== null) return void document.exitFullscreen();
    if (typeof this.#picture.requestFullscreen === 'function') return void this.#picture.requestFullscreen();
    // Phones of one maker put only the video itself on the full screen.
    (this.#video as unknown as { webkitEnterFullscreen?: () => void }).webkitEnterFullscreen?.();
  }
}
