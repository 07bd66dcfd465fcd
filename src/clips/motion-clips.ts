import type { Clock } from '../base/clock.js';
import { isAbort, toErrorData } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { MotionEvent } from '../contract/motion.js';
import type { StoredClip } from '../store/clips.js';
import {
  planMotionClips,
  SPLIT_PIECES,
  type MotionProgress,
  type MotionSettings,
  type MotionSpan,
  type PlannedClip,
} from './motion-plan.js';

interface CameraMotion {
  spans: MotionSpan[];
  progress: MotionProgress;
  timer: AbortController | undefined;
}

/** Turns motion events into clip requests, per camera. What was made is known from the clips themselves. */
export class MotionClips {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #settings: MotionSettings;
  readonly #stop = new AbortController();
  readonly #request: (clip: PlannedClip & { camera: string }) => Promise<unknown>;
  readonly #cameras = new Map<string, CameraMotion>();
  #queue: Promise<void> = Promise.resolve();

  constructor(
    options: { clock: Clock; log: Log; settings: MotionSettings },
    request: (clip: PlannedClip & { camera: string }) => Promise<unknown>,
  ) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#settings = options.settings;
    this.#request = request;
  }

  /** Goes on behind the clips that are already there, with the events that may still lack theirs. */
  resume(clips: readonly StoredClip[], events: readonly MotionEvent[]): void {
    for (const clip of clips) {
      if (clip.motionEvent === null) continue;
      const camera = this.#camera(clip.camera);
      const made = camera.progress.pieces[clip.motionEvent] ?? 0;
      camera.progress = {
        doneToMs: Math.max(camera.progress.doneToMs, Date.parse(clip.to)),
        pieces: { ...camera.progress.pieces, [clip.motionEvent]: Math.max(made, (clip.piece % SPLIT_PIECES) + 1) },
      };
    }
    for (const event of events) {
      // What came in since is newer.
      if (this.#camera(event.camera).spans.every((span) => span.id !== event.id)) this.take(event);
    }
  }

  take(event: MotionEvent): void {
    const camera = this.#camera(event.camera);
    const startMs = Date.parse(event.start);
    const endMs = event.end === null ? null : Date.parse(event.end);
    const known = camera.spans.find((span) => span.id === event.id);
    if (known === undefined) camera.spans.push({ id: event.id, startMs, endMs });
    else Object.assign(known, { startMs, endMs });
    camera.spans.sort((a, b) => a.startMs - b.startMs);
    this.#look(event.camera, camera);
  }

  /** A store that does not answer for a while must not cost a clip. */
  async #make(clip: PlannedClip & { camera: string }): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#request(clip);
        return;
      } catch (error) {
        this.#log.warn({ clip, error: toErrorData(error) }, 'the clip of a motion event could not be noted yet');
        await this.#clock.sleep(2_000, this.#stop.signal).catch((aborted: unknown) => {
          if (!isAbort(aborted)) throw aborted;
        });
      }
    }
  }

  stop(): void {
    this.#stop.abort();
    for (const camera of this.#cameras.values()) camera.timer?.abort();
  }

  #camera(id: string): CameraMotion {
    const known = this.#cameras.get(id) ?? { spans: [], progress: { doneToMs: 0, pieces: {} }, timer: undefined };
    this.#cameras.set(id, known);
    return known;
  }

  #look(id: string, camera: CameraMotion): void {
    camera.timer?.abort();
    const now = this.#clock.now();
    const plan = planMotionClips(camera.progress, camera.spans, this.#settings, now);
    camera.progress = plan.progress;
    const { postRollMs } = this.#settings;
    const { doneToMs } = plan.progress;
    camera.spans = camera.spans.filter((span) => span.endMs === null || span.endMs + postRollMs > doneToMs);
    const live = new Set(camera.spans.map((span) => span.id));
    const recent = new Set(plan.clips.map((clip) => clip.event));
    const pieces = Object.entries(plan.progress.pieces).filter(([event]) => live.has(event) || recent.has(event));
    camera.progress = { doneToMs, pieces: Object.fromEntries(pieces) };
    for (const clip of plan.clips) {
      // One after the other, so that clips get their ids in order of time.
      this.#queue = this.#queue.then(() => this.#make({ camera: id, ...clip }));
    }
    if (plan.wakeAtMs === null) return;
    camera.timer = new AbortController();
    this.#clock.sleep(Math.max(50, plan.wakeAtMs - now), camera.timer.signal).then(
      () => this.#look(id, camera),
      (error: unknown) => {
        if (!isAbort(error)) throw error;
      },
    );
  }
}
