import type { RingLimits } from './types.js';

/** A closed segment that could be deleted. The open one is never among them. */
export interface Candidate {
  seq: number;
  /** Order of recording over all streams. */
  ordinal: number;
  storedBytes: number;
  durationMs: number;
  startMs: number;
  endMs: number;
  /** Its wall clock was trusted, or corrected since. */
  trusted: boolean;
  motion: boolean;
  /** Held or leased. */
  protected: boolean;
}

export interface StreamStock {
  stream: string;
  camera: string;
  role: 'main' | 'sub';
  durationMs: number;
  /** Oldest first, by sequence number. */
  candidates: Candidate[];
  /** There are no further segments behind the candidates. */
  complete: boolean;
  /** Start of the first segment behind the candidates whose time is trusted; absent: there is none. */
  nextTrustedMs?: number;
}

export interface RetentionNow {
  /** Bytes that must become free. */
  needBytes: number;
  /** For age rules; null while no time is trusted. */
  trustedMs: number | null;
  /** Holds and leases have been received at least once since the start. */
  snapshotSeen: boolean;
}

export interface Eviction {
  stream: string;
  seq: number;
  storedBytes: number;
  why: 'ring' | 'retention' | 'maximum';
}

export interface RetentionPlan {
  evict: Eviction[];
  freedBytes: number;
  /** What is still missing although nothing more may be deleted. */
  shortBytes: number;
  /** Share of the floor that every stream could keep; below 1 the disk is too small for the floors. */
  floorShare: number;
}

/** Floors shrink together in these steps when the disk cannot hold them all. */
const SHARES = [1, 0.75, 0.5, 0.25, 0.1, 0];

/**
 * What to delete: first what is too old by trusted time, then, if space is needed, the oldest by sequence. A hold
 * beats everything; space beats age; every stream keeps its floor as long as another has more than its own.
 */
export function planRetention(stocks: readonly StreamStock[], limits: RingLimits, now: RetentionNow): RetentionPlan {
  if (!now.snapshotSeen) return { evict: [], freedBytes: 0, shortBytes: now.needBytes, floorShare: 1 };
  const aged = stocks.flatMap((stock) => planAge(stock, limits, now.trustedMs));
  const freedByAge = sumBytes(aged);
  const left = stocks.map((stock) => withoutEvicted(stock, aged));
  const need = now.needBytes - freedByAge;
  let space: { evict: Eviction[]; exhausted: boolean } = { evict: [], exhausted: false };
  let floorShare = 1;
  for (const share of need > 0 ? SHARES : []) {
    floorShare = share;
    space = planSpace(left, limits.floorMs * share, need);
    // Only when everything was looked at are the floors to blame; otherwise the caller asks again.
    if (sumBytes(space.evict) >= need || !space.exhausted) break;
  }
  const freed = sumBytes(space.evict);
  const shortBytes = Math.max(0, need - freed);
  return {
    evict: [...aged, ...space.evict],
    freedBytes: freedByAge + freed,
    shortBytes: space.exhausted ? shortBytes : 0,
    floorShare,
  };
}

function sumBytes(evictions: readonly Eviction[]): number {
  return evictions.reduce((sum, e) => sum + e.storedBytes, 0);
}

function withoutEvicted(stock: StreamStock, gone: readonly Eviction[]): StreamStock {
  const seqs = new Set(gone.filter((e) => e.stream === stock.stream).map((e) => e.seq));
  if (seqs.size === 0) return stock;
  const candidates = stock.candidates.filter((c) => !seqs.has(c.seq));
  const removed = stock.candidates.filter((c) => seqs.has(c.seq));
  return { ...stock, candidates, durationMs: stock.durationMs - removed.reduce((sum, c) => sum + c.durationMs, 0) };
}

function planAge(stock: StreamStock, limits: RingLimits, trustedMs: number | null): Eviction[] {
  if (trustedMs === null) return [];
  const ages = agesOf(stock, trustedMs);
  return stock.candidates.flatMap((c, i) => {
    const why = tooOld(stock.camera, ages[i]!, limits);
    if (why === undefined || c.protected) return [];
    return [{ stream: stock.stream, seq: c.seq, storedBytes: c.storedBytes, why }];
  });
}

/** At least so old is each candidate: one without trusted time is as old as the next trusted one after it. */
function agesOf(stock: Pick<StreamStock, 'candidates' | 'nextTrustedMs'>, trustedMs: number): number[] {
  const ages: number[] = [];
  let boundMs = stock.nextTrustedMs ?? Number.POSITIVE_INFINITY;
  for (const c of [...stock.candidates].reverse()) {
    if (c.trusted) boundMs = c.startMs;
    ages.push(trustedMs - (c.trusted ? c.endMs : boundMs));
  }
  return ages.reverse();
}

function tooOld(camera: string, ageMs: number, limits: RingLimits): 'retention' | 'maximum' | undefined {
  if (ageMs > (limits.maximumMs[camera] ?? Number.POSITIVE_INFINITY)) return 'maximum';
  return limits.keepMs !== null && ageMs > limits.keepMs ? 'retention' : undefined;
}

/**
 * Which originals without motion the first tier gives up. What has motion stays behind, so this goes on from where it
 * ended and not from the oldest.
 * @param stock the segments behind the one where the last plan ended
 * @returns `lookedTo`: everything up to this sequence number is decided; undefined: nothing was old enough
 */
export function planThinning(
  stock: Pick<StreamStock, 'stream' | 'candidates' | 'nextTrustedMs'>,
  originalsMs: number,
  trustedMs: number,
): { evict: Eviction[]; lookedTo: number | undefined } {
  const ages = agesOf(stock, trustedMs);
  const young = ages.findIndex((ageMs) => ageMs <= originalsMs);
  const old = young === -1 ? stock.candidates : stock.candidates.slice(0, young);
  const evict = old
    .filter((c) => !c.motion && !c.protected)
    .map((c) => ({ stream: stock.stream, seq: c.seq, storedBytes: c.storedBytes, why: 'retention' as const }));
  return { evict, lookedTo: old.at(-1)?.seq };
}

/** Takes the oldest segment over all streams again and again, from streams that are above the floor. */
function planSpace(
  stocks: readonly StreamStock[],
  floorMs: number,
  needBytes: number,
): { evict: Eviction[]; exhausted: boolean } {
  const heads = stocks.map((stock) => ({ stock, at: 0, durationMs: stock.durationMs }));
  const evict: Eviction[] = [];
  let freed = 0;
  while (freed < needBytes) {
    let oldest: { head: (typeof heads)[number]; candidate: Candidate } | undefined;
    for (const head of heads) {
      while (head.stock.candidates[head.at]?.protected === true) head.at++;
      const candidate = head.stock.candidates[head.at];
      if (candidate === undefined) {
        // An older segment may lie behind the ones that we were given.
        if (!head.stock.complete) return { evict, exhausted: false };
        continue;
      }
      if (head.durationMs - candidate.durationMs < floorMs) continue;
      if (oldest === undefined || candidate.ordinal < oldest.candidate.ordinal) oldest = { head, candidate };
    }
    if (oldest === undefined) return { evict, exhausted: true };
    const { head, candidate } = oldest;
    head.at++;
    head.durationMs -= candidate.durationMs;
    freed += candidate.storedBytes;
    evict.push({
      stream: head.stock.stream,
      seq: candidate.seq,
      storedBytes: candidate.storedBytes,
      why: 'ring',
    });
  }
  return { evict, exhausted: false };
}
