/** Times of the model are true: what the box's clock says meanwhile is no concern of it. */
export interface Interval {
  fromMs: number;
  toMs: number;
}

export interface Gap extends Interval {
  reason: string;
}

export interface Answer {
  spans: (Interval & { open: boolean })[];
  gaps: Gap[];
  bytes: number;
}

/** Footage that the disk took, in the order in which it came. */
interface Piece extends Interval {
  bytes: number;
  synced: boolean;
}

/** A file on the disk and what was written into it. */
export class Taken {
  readonly path: string;
  readonly pieces: Piece[] = [];
  open = true;
  gone = false;
  motion = false;
  /** Recorded and deleted before anybody knew when that was: when will not be known any more. */
  goneInDoubt = false;
  /** A checkpoint has named a head at or behind it. */
  published = false;

  constructor(path: string) {
    this.path = path;
  }

  get fromMs(): number {
    return this.pieces[0]!.fromMs;
  }

  get toMs(): number {
    return this.pieces.at(-1)!.toMs;
  }

  get synced(): Piece[] {
    return this.pieces.filter((piece) => piece.synced);
  }
}

/**
 * What must be told of one stream, written down beside the ring: what was handed to the disk and is safe on it, which
 * of those files are still there, and why there was nothing to hand over. It knows nothing of index or journal.
 */
export class StreamModel {
  readonly files: Taken[] = [];
  gaps: Gap[] = [];
  #late: Gap[] = [];
  /** Nothing is recorded, since when and why. */
  stopped: { fromMs: number; reason: string } | undefined;
  /** The running ring has heard of the stream. */
  known = false;
  /** The newest run. */
  begunMs = 0;

  get openFile(): Taken | undefined {
    const last = this.files.at(-1);
    return last?.open === true ? last : undefined;
  }

  get kept(): Taken[] {
    return this.files.filter((file) => !file.gone);
  }

  get lateGaps(): number {
    return this.#late.length;
  }

  /** Ranges of files that follow each other and are gone. */
  get holes(): number {
    return this.files.filter((file, i) => file.gone && this.files[i - 1]?.gone !== true).length;
  }

  took(path: string, piece: Interval & { bytes: number }): void {
    this.#resumed(piece.fromMs);
    if (this.openFile?.path !== path) {
      this.closed();
      this.files.push(new Taken(path));
    }
    this.openFile!.pieces.push({ ...piece, synced: false });
  }

  /** The open file is whole and safe. */
  closed(): void {
    const file = this.openFile;
    if (file === undefined) return;
    this.synced();
    file.open = false;
  }

  synced(): void {
    for (const piece of this.openFile?.pieces ?? []) piece.synced = true;
  }

  /** Nothing is recorded from here on. What is known to have stopped already goes on for the first reason only. */
  stop(reason: string, nowMs: number): void {
    const last = this.openFile;
    if (last !== undefined) {
      const fromMs = last.toMs;
      this.closed();
      this.stopped = { fromMs, reason };
    } else if (this.stopped === undefined) {
      this.stopped = { fromMs: nowMs, reason };
    } else if (this.stopped.reason !== reason) {
      this.#resumed(nowMs);
      this.stopped = { fromMs: nowMs, reason };
    }
  }

  /** The disk took no more. What had stopped before is still why. */
  refused(nowMs: number): void {
    if (this.openFile !== undefined || this.stopped === undefined) this.stop('disk_full', nowMs);
  }

  /** The disk was lost for a moment while a run was on. */
  broken(reason: string): void {
    if (this.openFile !== undefined) this.stop(reason, this.openFile.toMs);
    else this.stopped ??= { fromMs: this.files.at(-1)?.toMs ?? this.begunMs, reason };
  }

  /**
   * Why nothing was recorded between things that are all gone is forgotten with them.
   * @param doubted when nobody knew how wrong the clock is: what began, ended or should be forgotten then may stay longer
   */
  forget(doubted: readonly Interval[], nowMs: number): void {
    const atMs = this.kept.find((file) => !file.open)?.fromMs ?? this.files.findLast((file) => file.gone)?.toMs;
    if (atMs === undefined) return;
    const touches = (one: Interval): boolean => doubted.some((d) => one.fromMs <= d.toMs && one.toMs >= d.fromMs);
    const late = touches({ fromMs: nowMs, toMs: nowMs });
    this.#late.push(...this.gaps.filter((gap) => gap.toMs < atMs && (late || touches(gap))));
    this.gaps = this.gaps.filter((gap) => gap.toMs >= atMs);
  }

  /** What was said, with what may be forgotten late as if it were forgotten, and what nobody can know as if known. */
  forgetLate(gaps: readonly Gap[]): Gap[] {
    const gone = this.files.filter((file) => file.gone);
    const within = (gap: Gap): boolean =>
      (['unknown', 'not_recorded'].includes(gap.reason) &&
        gone.some((file) => file.goneInDoubt && overlaps(file, gap))) ||
      this.#late.some((late) => late.reason === gap.reason && late.fromMs <= gap.fromMs && gap.toMs <= late.toMs);
    const edges = gone.filter((file) => file.goneInDoubt).flatMap(({ fromMs, toMs }) => [fromMs, toMs]);
    const pieces = gaps.flatMap((gap) => cutAt(gap, edges));
    return joinedGaps(pieces.map((gap) => (within(gap) ? { ...gap, reason: this.#whyGone(gone, gap) } : gap)));
  }

  /** The one right answer to what there is of [fromMs, toMs). */
  answer(range: Interval, nowMs: number): Answer {
    const open = this.openFile;
    const until = Math.min(range.toMs, open === undefined ? nowMs : (open.synced.at(-1)?.toMs ?? open.fromMs));
    const there = this.kept.filter((file) => file.synced.length > 0 && overlaps(told(file), range));
    const spans = joined(
      there.map((file) => ({ ...told(file), open: file.open })).sort((a, b) => a.fromMs - b.fromMs),
    ).map((span) => ({ ...clip(span, range), open: span.open }));
    const bytes = there.flatMap((file) => file.synced).reduce((sum, piece) => sum + piece.bytes, 0);
    return { spans, gaps: this.#gapsBetween(spans, { fromMs: range.fromMs, toMs: until }), bytes };
  }

  #resumed(atMs: number): void {
    const { stopped } = this;
    if (stopped !== undefined && atMs > stopped.fromMs) this.gaps.push({ ...stopped, toMs: atMs });
    this.stopped = undefined;
  }

  #gapsBetween(spans: readonly Interval[], range: Interval): Gap[] {
    const reasons = [...this.gaps, ...(this.stopped === undefined ? [] : [{ ...this.stopped, toMs: Infinity }])];
    const gone = this.files.filter((file) => file.gone);
    const cuts = [range, ...spans, ...reasons, ...this.files].flatMap(({ fromMs, toMs }) => [fromMs, toMs]);
    const inside = [...new Set(cuts)].filter((cut) => cut >= range.fromMs && cut <= range.toMs).sort((a, b) => a - b);
    const out: Gap[] = [];
    for (let i = 0; i + 1 < inside.length; i++) {
      const piece = { fromMs: inside[i]!, toMs: inside[i + 1]! };
      if (spans.some((span) => overlaps(span, piece))) continue;
      const reason = reasons.find((gap) => overlaps(gap, piece))?.reason ?? this.#whyGone(gone, piece);
      out.push({ ...piece, reason });
    }
    return joinedGaps(out);
  }

  #whyGone(gone: readonly Taken[], piece: Interval): string {
    if (gone.some((file) => overlaps(file, piece))) return 'overwritten';
    const first = this.files[0];
    if (first === undefined || piece.toMs <= first.fromMs) return 'not_recorded';
    const oldest = this.kept[0];
    // What was between things that are all gone is gone with them.
    return oldest === undefined || piece.toMs <= oldest.fromMs ? 'overwritten' : 'nobody knows';
  }
}

/** Of a file that is being written only what is safe is told. */
function told(file: Taken): Interval {
  return { fromMs: file.fromMs, toMs: file.open ? (file.synced.at(-1)?.toMs ?? file.fromMs) : file.toMs };
}

export function overlaps(a: Interval, b: Interval): boolean {
  return a.fromMs < b.toMs && b.fromMs < a.toMs;
}

function cutAt(gap: Gap, edges: readonly number[]): Gap[] {
  const inside = edges.filter((edge) => edge > gap.fromMs && edge < gap.toMs).sort((a, b) => a - b);
  const ends = [gap.fromMs, ...inside, gap.toMs];
  return ends.slice(1).map((toMs, i) => ({ ...gap, fromMs: ends[i]!, toMs }));
}

function joinedGaps(sorted: readonly Gap[]): Gap[] {
  const out: Gap[] = [];
  for (const gap of sorted) {
    const last = out.at(-1);
    if (last?.toMs === gap.fromMs && last.reason === gap.reason) last.toMs = gap.toMs;
    else out.push({ ...gap });
  }
  return out;
}

function clip(of: Interval, to: Interval): Interval {
  return { fromMs: Math.max(of.fromMs, to.fromMs), toMs: Math.min(of.toMs, to.toMs) };
}

function joined<T extends Interval & { open: boolean }>(sorted: readonly T[]): T[] {
  const out: T[] = [];
  for (const span of sorted) {
    const last = out.at(-1);
    if (last !== undefined && span.fromMs <= last.toMs) {
      last.toMs = Math.max(last.toMs, span.toMs);
      last.open ||= span.open;
    } else {
      out.push({ ...span });
    }
  }
  return out;
}
