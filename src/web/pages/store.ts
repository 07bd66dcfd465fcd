import type { Camera } from '../../contract/camera.js';
import type { Clip } from '../../contract/clip.js';
import type { SessionBody, StatusBody } from '../../contract/http.js';
import type { MotionEvent } from '../../contract/motion.js';
import { get, url } from './api.js';

interface Topics {
  status: StatusBody;
  cameras: Camera[];
  motion: MotionEvent;
  clip: Clip;
  /** Is there a connection to the box? */
  link: boolean;
}

/** Status comes by itself; if it does not for so long, it is asked for. */
const STATUS_LATE_MS = 6_000;

/** What the box told last, and who wants to hear of it. */
export class Store {
  readonly session: SessionBody;
  cameras: Camera[] = [];
  status: StatusBody | null = null;
  link = true;
  /** Motion that goes on now, by camera. */
  readonly moving = new Map<string, MotionEvent>();
  readonly #listeners = new Map<keyof Topics, Set<(data: never) => void>>();
  readonly #skewMs: number;
  #source: EventSource | null = null;
  #heardStatusAt = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(session: SessionBody) {
    this.session = session;
    this.#skewMs = Date.parse(session.now) - Date.now();
  }

  /** By the clock of the box. */
  now(): number {
    return Date.now() + this.#skewMs;
  }

  async start(): Promise<void> {
    await Promise.all([this.refreshCameras(), this.#refreshStatus()]);
    this.#listen();
    this.#timer = setInterval(() => {
      if (Date.now() - this.#heardStatusAt > STATUS_LATE_MS && !document.hidden)
        this.#refreshStatus().catch(() => this.#setLink(false));
    }, 2_000);
  }

  stop(): void {
    this.#source?.close();
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  on<K extends keyof Topics>(topic: K, listener: (data: Topics[K]) => void): () => void {
    const set = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, set);
    set.add(listener as (data: never) => void);
    return () => set.delete(listener as (data: never) => void);
  }

  async refreshCameras(): Promise<void> {
    this.cameras = (await get<{ cameras: Camera[] }>('/cameras')).cameras;
    this.#tell('cameras', this.cameras);
  }

  /** When footage of a camera was last committed to disk, ms since 1970; null if that is not known. */
  savedUntil(camera: string): number | null {
    const stream = this.status?.streams.find((s) => s.camera === camera && s.role === 'main');
    if (this.status === null || stream === undefined || stream.ageMs === null) return null;
    return Date.parse(this.status.now) - stream.ageMs;
  }

  async #refreshStatus(): Promise<void> {
    this.#setStatus(await get<StatusBody>('/status'));
  }

  #setStatus(status: StatusBody): void {
    this.#heardStatusAt = Date.now();
    this.status = status;
    this.#setLink(true);
    this.#tell('status', status);
  }

  #setLink(link: boolean): void {
    if (this.link === link) return;
    this.link = link;
    this.#tell('link', link);
  }

  #listen(): void {
    this.#source?.close();
    const source = new EventSource(url('/events'));
    const on = <T>(type: string, take: (data: T) => void): void =>
      source.addEventListener(type, (event) => take(JSON.parse((event as MessageEvent<string>).data) as T));
    on<StatusBody>('status', (status) => this.#setStatus(status));
    on<MotionEvent>('motion', (event) => {
      if (event.phase === 'end') this.moving.delete(event.camera);
      else this.moving.set(event.camera, event);
      this.#tell('motion', event);
    });
    on<Clip>('clip', (clip) => this.#tell('clip', clip));
    on<object>('cameras', () => {
      void this.refreshCameras();
      // The permissions of this connection are those of the cameras that there were.
      this.#listen();
    });
    source.onerror = () => {
      // EventSource reconnects by itself unless the answer was an error; then status says what is wrong.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => source === this.#source && this.#listen(), 5_000);
    };
    this.#source = source;
  }

  #tell<K extends keyof Topics>(topic: K, data: Topics[K]): void {
    for (const listener of this.#listeners.get(topic) ?? []) (listener as (data: Topics[K]) => void)(data);
  }
}
