import type { StreamStatus } from '../contract/camera.js';

type Reading = Pick<StreamStatus, 'stream' | 'state' | 'fps' | 'bitrate'>;

interface Habit {
  fps: number;
  bitrate: number;
  /** Seconds of stream behind it. */
  age: number;
  /** Monotonic ms of the last look. */
  at: number;
}

export type Odd = 'frame_rate' | 'bit_rate';

/** Before that a stream has no habit. */
const ENOUGH_S = 60;
/** A stream that was changed on purpose has a new habit after hours. */
const SECONDS = 6 * 3_600;
const FPS = { least: 0.5, most: 2 };
/** The night needs a third of the day's bits, rain three times as many. */
const BITRATE = { least: 0.1, most: 8 };

/** What pictures and bits a second each stream uses to have, and which are far off. */
export class StreamHabits {
  readonly #habits = new Map<string, Habit>();

  /** Call it every few seconds; gives what is odd now, by stream. */
  observe(streams: readonly Reading[], nowMono: number): Map<string, { odd: Odd; now: number; usual: number }[]> {
    const odd = new Map<string, { odd: Odd; now: number; usual: number }[]>();
    const known = new Set(streams.map((one) => one.stream));
    for (const stream of [...this.#habits.keys()]) if (!known.has(stream)) this.#habits.delete(stream);
    for (const one of streams) {
      if (one.state !== 'recording' || one.fps <= 0) continue;
      const found = this.#look(one, nowMono);
      if (found.length > 0) odd.set(one.stream, found);
    }
    return odd;
  }

  #look({ stream, fps, bitrate }: Reading, nowMono: number): { odd: Odd; now: number; usual: number }[] {
    const habit = this.#habits.get(stream);
    if (habit === undefined) {
      this.#habits.set(stream, { fps, bitrate, age: 0, at: nowMono });
      return [];
    }
    const seconds = Math.min(10, (nowMono - habit.at) / 1000);
    habit.at = nowMono;
    const found: { odd: Odd; now: number; usual: number }[] = [];
    if (habit.age >= ENOUGH_S) {
      if (isOff(fps, habit.fps, FPS)) found.push({ odd: 'frame_rate', now: fps, usual: habit.fps });
      if (isOff(bitrate, habit.bitrate, BITRATE)) found.push({ odd: 'bit_rate', now: bitrate, usual: habit.bitrate });
    }
    habit.age += seconds;
    const a = 1 - Math.exp(-seconds / Math.min(SECONDS, habit.age));
    habit.fps += a * (fps - habit.fps);
    habit.bitrate += a * (bitrate - habit.bitrate);
    return found;
  }
}

function isOff(now: number, usual: number, limits: { least: number; most: number }): boolean {
  return now < limits.least * usual || now > limits.most * usual;
}
