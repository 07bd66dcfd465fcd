import type { Clock } from './base/clock.js';
import type { MotionEvent } from './contract/motion.js';
import type { Settings } from './settings/table.js';
import type { Store } from './store/client.js';

export interface MotionFlowOptions {
  clock: Clock;
  settings: Settings;
  store: Store;
  /** A time range of a camera in which something moved, rolls included. */
  markMotion: (ask: { camera: string; fromMs: number; toMs: number }) => Promise<void>;
  /** On its way to the center, and into clips. */
  send: (event: MotionEvent) => Promise<void>;
  onEvent: (event: MotionEvent) => void;
}

const ALIVE = 'agent.alive';
const ALIVE_MS = 10_000;

/** What a motion event sets off, and what becomes of one that the death of the agent left open. */
export class MotionFlow {
  readonly #o: MotionFlowOptions;
  #stop = (): void => undefined;

  constructor(options: MotionFlowOptions) {
    this.#o = options;
  }

  async take(event: MotionEvent): Promise<void> {
    const { store, onEvent, send } = this.#o;
    onEvent(event);
    // Both are handed over at once: a store that answers late still does them, in this order.
    await Promise.all([store.motion.save(event), send(event), this.#mark(event)]);
  }

  /**
   * Ends what an earlier life of the agent left open, and begins to note that this one lives. To be called when
   * events can be sent.
   */
  async start(): Promise<void> {
    const { clock, store, send } = this.#o;
    const alive: unknown = await store.kv.get(ALIVE);
    const now = clock.now();
    // The box may have been without power for days: the motion was not seen to go on for so long.
    const atMs = typeof alive === 'number' ? Math.min(now, alive + ALIVE_MS) : now;
    for (const event of await store.motion.closeOpen({ atMs })) {
      await Promise.all([send({ ...event, phase: 'end' }), this.#mark(event)]);
    }
    const note = (): Promise<void> => store.kv.put({ key: ALIVE, value: clock.now() });
    await note();
    this.#stop = clock.every(ALIVE_MS, note);
  }

  stop(): void {
    this.#stop();
  }

  async #mark({ camera, start, end }: MotionEvent): Promise<void> {
    if (end === null) return;
    const { settings, markMotion } = this.#o;
    const fromMs = Date.parse(start) - settings['motion.pre_roll'];
    const toMs = Date.parse(end) + settings['motion.post_roll'];
    await markMotion({ camera, fromMs, toMs });
  }
}
