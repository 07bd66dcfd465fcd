import type { Clock } from './base/clock.js';
import { BluelightError } from './base/errors.js';
import type { Clips } from './clips/index.js';
import type { Rendition } from './contract/primitives.js';
import { priority } from './contract/clip.js';
import type { Handlers, Refused } from './policy/command-desk.js';
import type { StoredClip } from './store/clips.js';
import type { Store } from './store/client.js';

type ClipRequestCall = Parameters<NonNullable<Handlers['clip.request']>>[0];
type StillRequestCall = Parameters<NonNullable<Handlers['still.request']>>[0];
/** What either needs of its call. */
type AnyCall = Pick<ClipRequestCall, 'job' | 'party' | 'signal' | 'progress' | 'refused'>;

export interface ClipJobsOptions {
  clock: Clock;
  store: Pick<Store, 'clips'>;
  clips: () => Clips;
}

interface ClipProgress {
  clip: string;
  camera: string;
  rendition: Rendition;
  state: StoredClip['state'];
  bytes: number | null;
  sentBytes: number;
}

const OPEN: readonly StoredClip['state'][] = ['queued', 'uploading', 'local'];
/** The proxy comes first: it is there when the original has hardly begun. */
const ORDER: readonly Rendition[] = ['proxy', 'original'];
/** Bytes alone are told so often at most. */
const TELL_MS = 5_000;
const LOOK_MS = 30_000;

/** `clip.request`: a job is done when each of its clips is delivered, withheld or failed. */
export class ClipJobs {
  readonly #o: ClipJobsOptions;
  readonly #waiting = new Set<() => void>();

  constructor(options: ClipJobsOptions) {
    this.#o = options;
  }

  /** A clip is in a new state, or further on its way. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  async run(call: ClipRequestCall): Promise<unknown> {
    const unsupported = call.args.renditions.filter((rendition) => !ORDER.includes(rendition));
    if (unsupported.length === call.args.renditions.length) {
      throw new BluelightError('UNSUPPORTED', `this box sends no ${unsupported.join(', ')}`, {
        fix: 'ask for the proxy or the original; for a single picture: still.request',
      });
    }
    await this.#request(call);
    return this.#delivered(call, unsupported);
  }

  /** `still.request`: the picture nearest to a moment, as a file of its own. */
  async still(call: StillRequestCall): Promise<unknown> {
    const { camera, at } = call.args;
    const fromMs = Date.parse(at);
    if ((await this.#o.store.clips.byJob(call.job.id)).length === 0) {
      await this.#o.clips().request({ camera, fromMs, toMs: fromMs + 1, rendition: 'stills', ...inNameOf(call) });
    }
    return this.#delivered(call, []);
  }

  async #delivered(call: AnyCall, unsupported: Rendition[]): Promise<unknown> {
    const { job, signal } = call;
    try {
      const clips = await this.#settled(call);
      return outcome(clips, call.refused, unsupported);
    } catch (error) {
      // The stop of the agent is not the end of the job.
      if (!(signal.reason instanceof BluelightError && signal.reason.code === 'SHUTDOWN')) {
        await this.#o.clips().cancelJob(job.id, signal.aborted ? 'the request was cancelled' : 'the request has ended');
      }
      throw error;
    }
  }

  /** Taken up again after a restart: what is there is not asked for twice. */
  async #request(call: ClipRequestCall): Promise<void> {
    const { store } = this.#o;
    const { job, args, grants } = call;
    const known = await store.clips.byJob(job.id);
    const range = { fromMs: Date.parse(args.from), toMs: Date.parse(args.to) };
    for (const rendition of ORDER.filter((one) => args.renditions.includes(one))) {
      for (const { camera } of grants) {
        if (known.some((clip) => clip.camera === camera && clip.rendition === rendition)) continue;
        await this.#o.clips().request({
          camera,
          ...range,
          rendition: rendition === 'proxy' ? 'proxy' : 'original',
          ...inNameOf(call),
        });
      }
    }
  }

  async #settled({ job, signal, progress }: AnyCall): Promise<StoredClip[]> {
    let told = '';
    let toldMono = -Infinity;
    for (;;) {
      const woken = this.#woken(signal);
      const clips = await this.#o.store.clips.byJob(job.id);
      if (!clips.some((clip) => OPEN.includes(clip.state))) return clips;
      const states = clips.map((clip) => clip.state).join();
      const mono = this.#o.clock.monotonic();
      if (states !== told || mono - toldMono >= TELL_MS) {
        told = states;
        toldMono = mono;
        await progress({ clips: clips.map(progressOf) });
      }
      await woken;
      signal.throwIfAborted();
    }
  }

  /** Resolves at the next change of any clip, at the latest after a while, or when `signal` aborts. */
  #woken(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    return new Promise<void>((resolve) => {
      const wake = (): void => resolve();
      this.#waiting.add(wake);
      over.signal.addEventListener('abort', () => this.#waiting.delete(wake), { once: true });
      this.#o.clock.sleep(LOOK_MS, AbortSignal.any([over.signal, signal])).then(wake, wake);
    }).finally(() => over.abort());
  }
}

function inNameOf({ job, party }: AnyCall) {
  return {
    priority: priority.parse(job.priority),
    party,
    door: 'mqtt' as const,
    reason: job.reason,
    ...(job.caseNo === null ? {} : { caseNo: job.caseNo }),
    job: job.id,
    send: true,
  };
}

function progressOf({ id, camera, rendition, state, bytes, sentBytes }: StoredClip): ClipProgress {
  return { clip: id, camera, rendition, state, bytes, sentBytes };
}

/** @throws BluelightError with the code of the first clip, if none was delivered */
function outcome(clips: StoredClip[], refused: readonly Refused[], unsupported: Rendition[]): unknown {
  const detailed = clips.map((clip) => ({
    ...progressOf(clip),
    from: clip.covers === null ? clip.from : new Date(clip.covers.fromMs).toISOString(),
    to: clip.covers === null ? clip.to : new Date(clip.covers.toMs).toISOString(),
    sha256: clip.sha256,
    detail: clip.detail,
  }));
  if (clips.some((clip) => clip.state === 'delivered')) return { clips: detailed, refused, unsupported };
  const [, code, why] = /^([A-Z][A-Z_]+): (.*)$/s.exec(clips[0]?.detail ?? '') ?? [];
  throw new BluelightError(code ?? 'NOT_DELIVERED', why ?? 'no clip could be delivered');
}
