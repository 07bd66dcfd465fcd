import type { TimelineBody } from '../../contract/http.js';
import type { MotionEvent } from '../../contract/motion.js';
import { get, inWords } from './api.js';
import { Cleanup, h, type View } from './dom.js';
import { when } from './format.js';
import type { Store } from './store.js';
import { t } from './strings.js';
import { drawTimeline, type Loaded, type Mark, type Span } from './timeline-draw.js';

export type { Loaded } from './timeline-draw.js';

export interface TimelineOptions {
  store: Store;
  camera: string;
  name: string;
  /** Length of time shown, ms. */
  spanMs: number;
  /** Small: fixed on the last `spanMs`, nothing to touch. */
  mini: boolean;
  seek?(ms: number): void;
  changed?(loaded: Loaded, view: Span): void;
}

const SHORTEST_MS = 60_000;
const LONGEST_MS = 48 * 3_600_000;
/** A recording that was still growing goes on to what status calls saved. */
const GROWING_MS = 60_000;
/** A camera that was just added may take so long to its first picture. */
const STARTING_MS = 60_000;

/** Recorded spans, gaps and motion of one camera on a time axis. */
export class Timeline implements View {
  readonly element: HTMLElement;
  readonly #canvas = h('canvas');
  readonly #tip = h('div', { class: 'tip', hidden: true });
  readonly #refused = h('p', { class: 'refused', hidden: true });
  readonly #options: TimelineOptions;
  readonly #cleanup = new Cleanup();
  #from: number;
  #to: number;
  /** Keeps the newest at the right edge. */
  #follows = true;
  #head: number | null = null;
  #loaded: Loaded | null = null;
  #loading: AbortController | null = null;
  #later: ReturnType<typeof setTimeout> | undefined;
  readonly #fingers = new Map<number, number>();
  #dragged = false;

  constructor(options: TimelineOptions) {
    this.#options = options;
    this.#to = options.store.now();
    this.#from = this.#to - options.spanMs;
    this.element = h(
      'div',
      { class: options.mini ? 'timeline mini' : 'timeline' },
      this.#canvas,
      this.#tip,
      options.mini ? null : this.#refused,
    );
    if (options.mini) this.#canvas.setAttribute('aria-hidden', 'true');
    else this.#makeInteractive();
    const resized = new ResizeObserver(() => this.#draw());
    resized.observe(this.element);
    this.#cleanup.add(() => resized.disconnect());
    this.#cleanup.add(options.store.on('motion', (event) => this.#heard(event)));
    this.#cleanup.add(options.store.on('status', () => this.#advance()));
    this.#cleanup.listen(matchMedia('(prefers-color-scheme: dark)'), 'change', () => this.#draw());
    this.#cleanup.every(60_000, () => !document.hidden && this.#load());
    this.#load();
  }

  destroy(): void {
    this.#loading?.abort();
    clearTimeout(this.#later);
    this.#cleanup.run();
  }

  get view(): Span {
    return { fromMs: this.#from, toMs: this.#to };
  }

  /** Shows `spanMs` around the playing moment, or up to now. */
  zoom(spanMs: number): void {
    const now = this.#options.store.now();
    this.#follows = this.#head === null;
    const to = this.#head === null ? now : Math.min(now + spanMs * 0.02, this.#head + spanMs / 2);
    this.#show(to - spanMs, to);
  }

  /** By a share of what is shown; negative is earlier. */
  pan(share: number): void {
    this.#follows = false;
    const by = (this.#to - this.#from) * share;
    this.#show(this.#from + by, this.#to + by);
  }

  goTo(ms: number): void {
    this.#follows = false;
    const half = (this.#to - this.#from) / 2;
    this.#show(ms - half, ms + half);
  }

  goToNow(): void {
    this.#follows = true;
    const now = this.#options.store.now();
    this.#show(now - (this.#to - this.#from), now);
  }

  /** The moment that is being played; null while live. */
  setHead(ms: number | null): void {
    this.#head = ms;
    if (ms !== null && !this.#dragged && this.#fingers.size === 0) {
      const span = this.#to - this.#from;
      if (ms > this.#to - span * 0.02 && ms < this.#to + span * 0.2) this.#show(ms - span * 0.15, ms + span * 0.85);
    }
    this.#describe();
    this.#draw();
  }

  /** What lies at a moment: the reason of a gap, or null where there is footage or nothing is known. */
  gapAt(ms: number): string | null {
    return this.#loaded?.gaps.find((gap) => ms >= gap.fromMs && ms < gap.toMs)?.reason ?? null;
  }

  #show(from: number, to: number): void {
    const span = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, to - from));
    const latest = this.#options.store.now() + span * 0.05;
    this.#to = Math.min(to, latest);
    this.#from = this.#to - span;
    this.#draw();
    this.#report();
    const known = this.#loaded;
    if (
      known !== null &&
      this.#from >= known.fromMs &&
      Math.min(this.#to, this.#options.store.now() - GROWING_MS) <= known.toMs
    )
      return;
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#load(), 150);
  }

  #load(): void {
    const { store, camera, mini } = this.#options;
    const pad = mini ? 0 : this.#to - this.#from;
    const from = this.#from - pad;
    const to = Math.min(this.#to + pad, store.now());
    if (to <= from) return;
    this.#loading?.abort();
    const abort = new AbortController();
    this.#loading = abort;
    const query = { camera, role: 'main', from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    get<TimelineBody>('/timeline', query, abort.signal).then(
      (body) => this.#take(body),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        this.#refused.textContent = inWords(error).what;
        this.#refused.hidden = false;
      },
    );
  }

  #take(body: TimelineBody): void {
    const ms = (piece: { from: string; to: string }): Span => ({
      fromMs: Date.parse(piece.from),
      toMs: Date.parse(piece.to),
    });
    this.#loaded = {
      ...ms(body),
      spans: body.spans.map(ms),
      gaps: body.gaps.map((gap) => ({ ...ms(gap), reason: this.#reason(gap) })),
      motion: body.motion.map((event) => this.#mark(event)),
    };
    this.#refused.hidden = true;
    this.#advance();
    this.#describe();
  }

  /** Nothing can be missing from before the camera was added. */
  #reason(gap: { to: string; reason: string }): string {
    const camera = this.#options.store.cameras.find((entry) => entry.id === this.#options.camera);
    const before = camera !== undefined && Date.parse(gap.to) < camera.addedAt + STARTING_MS;
    return before && gap.reason === 'unknown' ? 'not_recorded' : gap.reason;
  }

  #mark(event: MotionEvent): Mark {
    return {
      id: event.id,
      fromMs: Date.parse(event.start),
      toMs: event.end === null ? this.#options.store.now() : Date.parse(event.end),
    };
  }

  #heard(event: MotionEvent): void {
    const marks = this.#loaded?.motion;
    if (event.camera !== this.#options.camera || marks === undefined) return;
    const mark = this.#mark(event);
    const known = marks.findIndex((other) => other.id === mark.id);
    if (known >= 0) marks[known] = mark;
    else marks.push(mark);
    this.#draw();
    this.#report();
  }

  /** Time goes on: the newest piece grows to what is saved. */
  #advance(): void {
    const { store, camera } = this.#options;
    const saved = store.savedUntil(camera);
    const last = this.#loaded?.spans.at(-1);
    if (
      this.#loaded !== null &&
      saved !== null &&
      last !== undefined &&
      saved > last.toMs &&
      saved - last.toMs < GROWING_MS + 60_000
    ) {
      const ended = this.#loaded.gaps.at(-1);
      const gapIsTail = ended !== undefined && ended.fromMs >= last.toMs - 1000 && saved > ended.toMs - 15_000;
      if (gapIsTail && saved > ended.fromMs) this.#loaded.gaps.pop();
      if (gapIsTail || ended === undefined || ended.fromMs < last.toMs) last.toMs = saved;
      this.#loaded.toMs = Math.max(this.#loaded.toMs, saved);
    }
    if (this.#follows && this.#fingers.size === 0) {
      const span = this.#to - this.#from;
      this.#to = store.now();
      this.#from = this.#to - span;
    }
    this.#draw();
    this.#report();
  }

  #report(): void {
    if (this.#loaded !== null) this.#options.changed?.(this.#loaded, this.view);
  }

  #describe(): void {
    if (this.#options.mini) return;
    const at = this.#head ?? this.#options.store.now();
    const { element } = this;
    element.setAttribute('aria-valuemin', String(Math.round(this.#from / 1000)));
    element.setAttribute('aria-valuemax', String(Math.round(this.#to / 1000)));
    element.setAttribute('aria-valuenow', String(Math.round(at / 1000)));
    element.setAttribute('aria-valuetext', this.#head === null ? t.live.live : when(at));
  }

  #draw(): void {
    const loaded = this.#loaded;
    const { store, mini } = this.#options;
    drawTimeline(this.#canvas, this.element, { view: this.view, loaded, head: this.#head, now: store.now(), mini });
  }

  // --- touch, mouse and keys ---

  #makeInteractive(): void {
    const { element } = this;
    element.tabIndex = 0;
    element.setAttribute('role', 'slider');
    element.setAttribute('aria-label', t.camera.timeline(this.#options.name));
    this.#describe();
    element.addEventListener('pointerdown', (event) => this.#down(event));
    element.addEventListener('pointermove', (event) => this.#move(event));
    for (const type of ['pointerup', 'pointercancel'] as const)
      element.addEventListener(type, (event) => this.#up(event));
    element.addEventListener('pointerleave', () => (this.#tip.hidden = true));
    element.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    element.addEventListener('keydown', (event) => this.#key(event));
  }

  #timeAt(event: MouseEvent): number {
    const { left, width } = this.element.getBoundingClientRect();
    return this.#from + ((event.clientX - left) / width) * (this.#to - this.#from);
  }

  #down(event: PointerEvent): void {
    this.element.setPointerCapture(event.pointerId);
    this.#fingers.set(event.pointerId, event.clientX);
    if (this.#fingers.size === 1) this.#dragged = false;
  }

  #move(event: PointerEvent): void {
    const before = this.#fingers.get(event.pointerId);
    if (before === undefined) return event.pointerType === 'mouse' ? this.#hover(event) : undefined;
    const { width } = this.element.getBoundingClientRect();
    const span = this.#to - this.#from;
    const moved = event.clientX - before;
    if (!this.#dragged && this.#fingers.size === 1 && Math.abs(moved) < 6) return;
    this.#dragged = true;
    this.#follows = false;
    const other = [...this.#fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.#fingers.set(event.pointerId, event.clientX);
    if (other === undefined) {
      const by = (-moved / width) * span;
      return this.#show(this.#from + by, this.#to + by);
    }
    const ratio = Math.abs(before - other) / Math.max(8, Math.abs(event.clientX - other));
    this.#zoomAround((before + other) / 2, ratio);
  }

  #up(event: PointerEvent): void {
    const tapped = this.#fingers.delete(event.pointerId) && !this.#dragged && event.type === 'pointerup';
    if (tapped) this.#options.seek?.(Math.min(this.#timeAt(event), this.#options.store.now()));
    if (this.#fingers.size === 0) this.#dragged = false;
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    this.#follows = false;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) return this.pan(event.deltaX / 800);
    this.#zoomAround(event.clientX, Math.exp(event.deltaY / 400));
  }

  #zoomAround(clientX: number, ratio: number): void {
    const { left, width } = this.element.getBoundingClientRect();
    const share = (clientX - left) / width;
    const at = this.#from + share * (this.#to - this.#from);
    const span = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, (this.#to - this.#from) * ratio));
    this.#show(at - share * span, at + (1 - share) * span);
  }

  #hover(event: PointerEvent): void {
    const at = this.#timeAt(event);
    const gap = this.gapAt(at);
    const { left, width } = this.element.getBoundingClientRect();
    this.#tip.textContent = gap === null ? when(at) : `${when(at)} · ${t.gap[gap] ?? t.gap['unknown']!}`;
    this.#tip.hidden = false;
    const half = this.#tip.offsetWidth / 2;
    this.#tip.style.left = `${Math.min(width - half, Math.max(half, event.clientX - left))}px`;
  }

  #key(event: KeyboardEvent): void {
    const step = event.shiftKey ? 60_000 : 10_000;
    const at = this.#head ?? this.#options.store.now();
    if (event.key === 'ArrowLeft') this.#options.seek?.(at - step);
    else if (event.key === 'ArrowRight') this.#options.seek?.(Math.min(at + step, this.#options.store.now()));
    else if (event.key === 'Home') this.pan(-0.5);
    else if (event.key === 'End') this.goToNow();
    else return;
    event.preventDefault();
  }
}
