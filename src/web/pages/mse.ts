/** Safari on phones has only the managed kind. */
const Source = (): typeof MediaSource | undefined =>
  (window as unknown as { ManagedMediaSource?: typeof MediaSource }).ManagedMediaSource ?? window.MediaSource;

export function canPlay(mime: string): boolean {
  return Source()?.isTypeSupported(mime) ?? false;
}

type Job =
  | { kind: 'bytes'; bytes: BufferSource }
  | { kind: 'run'; mime: string; offset: number }
  | { kind: 'trim'; to: number }
  | { kind: 'end' };

/** Feeds a video element through Media Source Extensions, one operation after the other. */
export class Feed {
  readonly video: HTMLVideoElement;
  readonly #source: MediaSource;
  readonly #url: string;
  readonly #failed: (why: string) => void;
  readonly #jobs: Job[] = [];
  #buffer: SourceBuffer | null = null;
  #mime = '';
  #closed = false;

  constructor(video: HTMLVideoElement, failed: (why: string) => void) {
    const Kind = Source();
    if (Kind === undefined) throw new Error('This browser has no Media Source Extensions.');
    this.video = video;
    this.#failed = failed;
    this.#source = new Kind();
    this.#url = URL.createObjectURL(this.#source);
    video.disableRemotePlayback = true;
    video.src = this.#url;
    this.#source.addEventListener('sourceopen', () => this.#next());
    video.addEventListener('error', this.#onError);
  }

  readonly #onError = (): void => {
    if (!this.#closed) this.#failed(this.video.error?.message ?? 'The picture cannot be decoded.');
  };

  /** A new format or a new run follows; `offset` seconds are added to its times. */
  run(mime: string, offset: number): void {
    this.#push({ kind: 'run', mime, offset });
  }

  append(bytes: BufferSource): void {
    this.#push({ kind: 'bytes', bytes });
  }

  /** Forgets what lies before `to` seconds. */
  trim(to: number): void {
    const start = this.video.buffered.length > 0 ? this.video.buffered.start(0) : Infinity;
    if (to > start + 5) this.#push({ kind: 'trim', to });
  }

  /** Nothing follows any more. */
  end(): void {
    this.#push({ kind: 'end' });
  }

  get waiting(): number {
    return this.#jobs.length;
  }

  /** Seconds that can be played on from `at` without a hole. */
  ahead(at: number): number {
    const { buffered } = this.video;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= at + 0.1 && buffered.end(i) > at) return buffered.end(i) - at;
    }
    return 0;
  }

  /** Where footage goes on after `at`, if there is a hole. */
  nextStart(at: number): number | null {
    const { buffered } = this.video;
    for (let i = 0; i < buffered.length; i++) if (buffered.start(i) > at) return buffered.start(i);
    return null;
  }

  get lastEnd(): number {
    const { buffered } = this.video;
    return buffered.length === 0 ? 0 : buffered.end(buffered.length - 1);
  }

  close(): void {
    this.#closed = true;
    this.#jobs.length = 0;
    this.video.removeEventListener('error', this.#onError);
    if (this.video.src === this.#url) {
      this.video.removeAttribute('src');
      this.video.load();
    }
    URL.revokeObjectURL(this.#url);
  }

  #push(job: Job): void {
    this.#jobs.push(job);
    this.#next();
  }

  #next(): void {
    if (this.#closed || this.#source.readyState !== 'open' || this.#buffer?.updating === true) return;
    const job = this.#jobs.shift();
    if (job === undefined) return;
    try {
      this.#do(job);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'QuotaExceededError' && job.kind === 'bytes')
        return this.#makeRoom(job);
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  #do(job: Job): void {
    if (job.kind === 'run') {
      this.#openBuffer(job.mime);
      this.#buffer!.timestampOffset = job.offset;
      return this.#next();
    }
    if (job.kind === 'bytes') return this.#buffer?.appendBuffer(job.bytes);
    if (job.kind === 'trim') return this.#buffer?.remove(0, job.to);
    this.#source.endOfStream();
  }

  #openBuffer(mime: string): void {
    if (this.#buffer === null) {
      this.#buffer = this.#source.addSourceBuffer(mime);
      this.#buffer.addEventListener('updateend', () => this.#next());
    } else {
      this.#buffer.abort();
      if (mime !== this.#mime) this.#buffer.changeType(mime);
    }
    this.#mime = mime;
  }

  /** The browser's buffer is full: what was played goes first, then it is tried again. */
  #makeRoom(job: Job): void {
    this.#jobs.unshift(job);
    const to = this.video.currentTime - 2;
    if (to > 0.1) this.#buffer!.remove(0, to);
    else setTimeout(() => this.#next(), 500);
  }
}
