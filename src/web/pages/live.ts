import type { RunMessage, StreamMessage } from '../../contract/http.js';
import { get, inWords, url } from './api.js';
import { canPlay, Feed } from './mse.js';
import { t } from './strings.js';

export type LiveState =
  | { kind: 'connecting' }
  | { kind: 'playing' }
  | { kind: 'paused'; text: string }
  | { kind: 'refused'; text: string; fix: string }
  | { kind: 'unsupported'; codec: string };

/** How far behind the newest picture to stay, in seconds: a fragment is half a second, and networks hiccup. */
const BEHIND = 0.8;
const TOO_FAR = 4;
/** Seconds that one can go back without asking the disk: the newest segment is still being written there. */
const KEEP = 60;
const BACKOFF_MS = [500, 1_000, 2_000, 5_000, 10_000];

/** One live view: a WebSocket into a video element. Reconnects by itself until it is closed. */
export class LiveView {
  readonly #video: HTMLVideoElement;
  readonly #camera: string;
  readonly #role: 'main' | 'sub';
  readonly #changed: (state: LiveState) => void;
  readonly #ranOut: () => void;
  #socket: WebSocket | null = null;
  #feed: Feed | null = null;
  #run: RunMessage | null = null;
  /** The viewer went back or stopped the picture: the newest is not chased. */
  #held = false;
  #tries = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #steady: ReturnType<typeof setInterval>;
  #closed = false;

  /** `ranOut`: what was kept while the picture was held is played; it goes on from the disk. */
  constructor(
    video: HTMLVideoElement,
    camera: string,
    role: 'main' | 'sub',
    changed: (state: LiveState) => void,
    ranOut: () => void = () => undefined,
  ) {
    this.#video = video;
    this.#ranOut = ranOut;
    this.#camera = camera;
    this.#role = role;
    this.#changed = changed;
    this.#steady = setInterval(() => this.#keepUp(), 500);
    this.#connect();
  }

  /** Wall clock of the picture that is shown, by the box's clock; null before the first. */
  get shownAt(): number | null {
    if (this.#run === null || this.#video.readyState < 2) return null;
    return this.#run.zeroMs + this.#video.currentTime * 1000;
  }

  /** True while the viewer is behind live on purpose. */
  get held(): boolean {
    return this.#held;
  }

  /** Stops the picture; what comes is kept for a while. */
  hold(): void {
    this.#held = true;
    this.#video.pause();
  }

  /** Goes to a moment if it is still here. */
  seek(wallMs: number): boolean {
    const { buffered } = this.#video;
    if (this.#run === null || buffered.length === 0) return false;
    const at = (wallMs - this.#run.zeroMs) / 1000;
    if (at < buffered.start(buffered.length - 1) || at > this.#video.buffered.end(buffered.length - 1)) return false;
    this.#held = true;
    this.#video.playbackRate = 1;
    this.#video.currentTime = at;
    return true;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#steady);
    this.#drop();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#feed?.close();
    this.#feed = null;
    this.#run = null;
  }

  #connect(): void {
    this.#changed({ kind: 'connecting' });
    const address = new URL(url('/live', { camera: this.#camera, role: this.#role }), location.href);
    address.protocol = 'wss:';
    const socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    let opened = false;
    socket.onopen = () => (opened = true);
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (socket !== this.#socket) return;
      if (typeof data === 'string') this.#message(JSON.parse(data) as StreamMessage);
      else this.#bytes(data);
    };
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      this.#drop();
      if (opened) this.#later();
      else void this.#askWhy();
    };
    this.#socket = socket;
  }

  #later(): void {
    if (this.#closed) return;
    const wait = BACKOFF_MS[Math.min(this.#tries++, BACKOFF_MS.length - 1)]!;
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  /** A browser does not say why a WebSocket was refused; the same address without one does. */
  async #askWhy(): Promise<void> {
    try {
      await get('/live', { camera: this.#camera, role: this.#role });
    } catch (error) {
      const { what, fix } = inWords(error);
      const code = (error as { problem?: { code: string } }).problem?.code;
      if (code === 'UPGRADE_REQUIRED' || code === 'UNREACHABLE')
        this.#changed({ kind: 'paused', text: t.live.noConnection });
      else this.#changed({ kind: 'refused', text: what, fix });
    }
    this.#later();
  }

  #message(message: StreamMessage): void {
    if (message.type === 'run') this.#start(message);
    else if (message.type === 'paused') this.#changed({ kind: 'paused', text: message.detail });
    else if (message.type === 'end') this.#changed({ kind: 'refused', text: message.detail, fix: '' });
  }

  #start(run: RunMessage): void {
    this.#feed?.close();
    this.#feed = null;
    this.#run = run;
    this.#held = false;
    if (!canPlay(run.mime)) return this.#changed({ kind: 'unsupported', codec: run.codec });
    this.#feed = new Feed(this.#video, () => this.#restart());
    this.#feed.run(run.mime, 0);
  }

  #restart(): void {
    this.#drop();
    this.#later();
  }

  #bytes(data: ArrayBuffer): void {
    this.#feed?.append(data);
  }

  /** Stays close to the newest picture, and forgets old ones. */
  #keepUp(): void {
    const feed = this.#feed;
    const video = this.#video;
    if (feed === null || video.buffered.length === 0) return;
    const end = feed.lastEnd;
    const behind = end - video.currentTime;
    if (this.#held) return this.#stayBehind(feed, behind);
    if (behind > TOO_FAR || video.currentTime < video.buffered.start(0))
      video.currentTime = Math.max(video.buffered.start(0), end - BEHIND);
    video.playbackRate = behind > BEHIND + 1 ? 1.1 : 1;
    if (video.paused) void video.play().catch(() => undefined);
    if (video.readyState >= 3 && behind > 0) {
      this.#tries = 0;
      this.#changed({ kind: 'playing' });
    }
    feed.trim(video.currentTime - KEEP);
  }

  #stayBehind(feed: Feed, behind: number): void {
    if (!this.#video.paused) {
      feed.trim(this.#video.currentTime - KEEP);
      if (behind < BEHIND + 0.2 && this.#socket !== null) this.#held = false;
    }
    // Held for long: the box keeps it better than this browser.
    if (behind > KEEP && this.#socket !== null) {
      const socket = this.#socket;
      this.#socket = null;
      socket.close();
    }
    if (behind < 0.2 && this.#socket === null) this.#ranOut();
  }
}
