import { CELLS } from './grid.js';
import { measure, Structure, View, type ViewComparison } from './view.js';

/** Ways in which a camera delivers pictures and does not see. */
export type Blindness = 'frozen' | 'dark' | 'overexposed' | 'covered' | 'blurred' | 'moved';

/** ONVIF names, where there is one (ONVIF Imaging and Video Source event topics). */
export const ONVIF_TOPIC: Record<Blindness, string> = {
  frozen: 'tns1:VideoSource/SignalLoss',
  dark: 'tns1:VideoSource/ImageTooDark/ImagingService',
  overexposed: 'tns1:VideoSource/ImageTooBright/ImagingService',
  covered: 'tns1:VideoSource/GlobalSceneChange/ImagingService',
  blurred: 'tns1:VideoSource/ImageTooBlurry/ImagingService',
  moved: 'tns1:VideoSource/GlobalSceneChange/ImagingService',
};

export const HINT: Record<Blindness, string> = {
  frozen: 'the camera repeats one picture: restart it, bring a replacement if that does not help',
  dark: 'nothing can be seen: look for a covered lens, a dead infrared lamp or a missing light; bring a cloth and a lamp',
  overexposed: 'the picture is white: look for the sun, a lamp or the camera’s own infrared light on something close',
  covered: 'something is before the lens: bring a ladder and a cloth',
  blurred: 'the picture is out of focus or the glass is dirty: bring a ladder and a cloth, set the focus anew',
  moved: 'the camera looks elsewhere than before: set it as the picture from before shows, and fasten it',
};

export interface TruthNote {
  kind: Blindness;
  state: 'raised' | 'cleared';
  /** Since when, stream time in ms. */
  since: number;
  tMs: number;
  hint: string;
  /** 320x180 gray; `before` is from when the camera last saw well. */
  before: Uint8Array;
  now: Uint8Array;
}

/** How long a state must last, ms: what passes by, a truck or a flash, is no fault of the camera. */
const HOLD: Record<Blindness, number> = {
  frozen: 12_000,
  dark: 35_000,
  overexposed: 35_000,
  covered: 35_000,
  blurred: 35_000,
  moved: 45_000,
};
const CLEAR_MS = 8_000;
const LEAST_STEP_MS = 1_500;
/** How the view compares with the learned one is asked less often than whether there is a picture at all: it costs more. */
const LEAST_VIEW_STEP_MS = 3_000;
/** Seconds over which the present view and the learned one are averaged, and what the latter needs to begin with. */
const AVERAGE = { now: 6, learned: 600, enough: 20, settled: 60 };
/** Seconds that are learned at once, and only when as many more have passed well: a fault is not seen at once. */
const BLOCK_S = 8;
const KEEP_MS = 30_000;
const LIMITS = {
  /** A clock in the picture may go on. */
  frozen: { share: 0.005, usual: 0.1 },
  dark: 12,
  white: 250,
  covered: { sharpness: 0.15, lost: 0.85, structured: 0.03 },
  blurred: { sharpness: 0.6, layout: 0.75, structured: 0.25 },
  moved: { structure: 0.2, sharpness: 0.5, structured: 0.25 },
};

/**
 * Watches whether a camera still sees what it saw. Compares relative structure, so that day, night and exposure do
 * not count; the learned view follows slowly and stands still while something is wrong.
 */
export class CameraTruth {
  readonly #learned = new View();
  #block = new View();
  #waiting = new View();
  readonly #now = new View();
  readonly #structure = new Structure();
  readonly #last = new Float32Array(CELLS);
  #lastAt: number | undefined;
  #viewedAt: number | undefined;
  /** What is wrong with the view, as it was last compared. */
  #kind: Blindness | undefined;
  /** Usual share of cells that differ from one picture to the next: a picture without noise may repeat itself. */
  #restless = 0;
  readonly #suspected = new Map<Blindness, number>();
  readonly #raised = new Map<Blindness, { since: number; goodSince: number | undefined }>();
  #before: Uint8Array | undefined;
  #candidate: Uint8Array | undefined;
  #beforeAt = Number.NEGATIVE_INFINITY;

  /** Kinds that hold at present. */
  get raised(): readonly Blindness[] {
    return [...this.#raised.keys()];
  }

  /** The view is as it should be from now on: somebody has moved the camera on purpose. */
  accept(): void {
    this.#learned.clear();
    this.#kind = undefined;
    this.#doubt();
    this.#before = this.#candidate = undefined;
  }

  /** The learned view as bytes, for `restore`; undefined as long as it is not known. */
  view(): Uint8Array | undefined {
    return this.#learned.age < AVERAGE.settled ? undefined : this.#learned.pack();
  }

  restore(view: Uint8Array): void {
    this.#learned.unpack(view, AVERAGE.learned);
  }

  /** Pictures follow each other anew (a reconnect): stream time begins again, what was learned stays. */
  restart(): void {
    this.#lastAt = this.#viewedAt = this.#kind = undefined;
    this.#now.clear();
    this.#block.clear();
    this.#waiting.clear();
    this.#suspected.clear();
    this.#beforeAt = Number.NEGATIVE_INFINITY;
  }

  /** `cells` are the 160x90 means of `gray`. Pictures that follow too soon are left out. */
  observe(gray: Uint8Array, cells: Float32Array, tMs: number): TruthNote[] {
    if (this.#lastAt !== undefined && tMs - this.#lastAt < LEAST_STEP_MS) return [];
    const change = this.#lastAt === undefined ? Number.NaN : shareChanged(cells, this.#last);
    const seconds = this.#viewedAt === undefined ? 2 : Math.min(10, (tMs - this.#viewedAt) / 1000);
    const views = this.#viewedAt === undefined || tMs - this.#viewedAt >= LEAST_VIEW_STEP_MS;
    if (views) this.#compare(this.#structure.of(cells), seconds, tMs);
    const found = this.#judge(cells, change);
    // Slowly down: a camera that freezes must not make that its habit before it is told.
    if (change >= 0) this.#restless += (change > this.#restless ? 0.2 : 0.01) * (change - this.#restless);
    this.#last.set(cells);
    this.#lastAt = tMs;
    const notes = this.#settle(found, gray, tMs);
    if (found.size > 0) this.#doubt();
    else if (this.#raised.size === 0) {
      if (views) this.#learn(this.#structure, seconds);
      this.#keep(gray, tMs);
    }
    return notes;
  }

  #compare(picture: Structure, seconds: number, tMs: number): void {
    this.#now.add(picture, seconds, AVERAGE.now);
    this.#viewedAt = tMs;
    const structured = this.#learned.structured;
    const known = this.#learned.age >= AVERAGE.enough && structured >= LIMITS.covered.structured;
    this.#kind = known ? kindOf(this.#now.compare(this.#learned), structured) : undefined;
  }

  #learn(picture: Structure, seconds: number): void {
    this.#block.add(picture, seconds, AVERAGE.learned);
    if (this.#block.age < BLOCK_S) return;
    if (this.#waiting.age > 0) this.#learned.merge(this.#waiting, AVERAGE.learned);
    this.#waiting.clear();
    [this.#block, this.#waiting] = [this.#waiting, this.#block];
  }

  /** What was seen lately may show the fault already. */
  #doubt(): void {
    this.#candidate = undefined;
    this.#block.clear();
    this.#waiting.clear();
  }

  #judge(cells: Float32Array, change: number): Set<Blindness> {
    const found = new Set<Blindness>();
    const { high, bright } = measure(cells);
    if (high < LIMITS.dark) return found.add('dark');
    if (bright >= LIMITS.white) return found.add('overexposed');
    if (change < LIMITS.frozen.share && this.#restless > LIMITS.frozen.usual) found.add('frozen');
    return this.#kind === undefined ? found : found.add(this.#kind);
  }

  #settle(found: Set<Blindness>, gray: Uint8Array, tMs: number): TruthNote[] {
    const notes: TruthNote[] = [];
    const before = this.#before ?? gray;
    const note = (kind: Blindness, state: TruthNote['state'], since: number): void => {
      notes.push({ kind, state, since, tMs, hint: HINT[kind], before: before.slice(), now: gray.slice() });
    };
    for (const kind of [...this.#suspected.keys()]) if (!found.has(kind)) this.#suspected.delete(kind);
    for (const kind of found) {
      const since = this.#suspected.get(kind) ?? tMs;
      this.#suspected.set(kind, since);
      if (this.#raised.has(kind) || tMs - since < HOLD[kind]) continue;
      this.#raised.set(kind, { since, goodSince: undefined });
      note(kind, 'raised', since);
    }
    for (const [kind, one] of this.#raised) {
      one.goodSince = found.has(kind) ? undefined : Math.min(one.goodSince ?? tMs, tMs);
      if (one.goodSince === undefined || tMs - one.goodSince < CLEAR_MS) continue;
      this.#raised.delete(kind);
      note(kind, 'cleared', one.since);
    }
    return notes;
  }

  /** A picture counts as good only when nothing has come out about it for a while. */
  #keep(gray: Uint8Array, tMs: number): void {
    if (tMs - this.#beforeAt < KEEP_MS) return;
    this.#before = this.#candidate ?? this.#before;
    this.#candidate = gray.slice();
    this.#beforeAt = tMs;
  }
}

function kindOf(view: ViewComparison, structured: number): Blindness | undefined {
  const { covered, blurred, moved } = LIMITS;
  if (view.sharpness < covered.sharpness && view.lost > covered.lost) return 'covered';
  if (structured < blurred.structured) return undefined;
  if (view.sharpness < blurred.sharpness && view.layout > blurred.layout) return 'blurred';
  if (view.structure < moved.structure && view.sharpness > moved.sharpness) return 'moved';
  return undefined;
}

function shareChanged(a: Float32Array, b: Float32Array): number {
  let count = 0;
  for (let c = 0; c < CELLS; c++) if (a[c] !== b[c]) count++;
  return count / CELLS;
}
