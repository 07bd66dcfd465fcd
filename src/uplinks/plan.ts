import type { Priority } from '../contract/clip.js';
import type { Rendition } from '../contract/primitives.js';
import type { LinkConfig } from './ports.js';

export interface QueuedUpload {
  id: string;
  priority: Priority;
  rendition: Rendition;
  createdMs: number;
  /** Not before this, wall clock. */
  notBeforeMs: number;
  /** Bytes that are still to be sent; null: not known yet. */
  restBytes: number | null;
}

export interface LinkState {
  id: string;
  /** It is up and may be used now. */
  usable: boolean;
  cost: LinkConfig['cost'];
  /** Within its hours, by the clock of the box. */
  open: boolean;
  /** What of motion clips may go over it by itself. */
  auto: readonly Rendition[];
  /** Whether originals that somebody asked for as routine may go over it. */
  originals: boolean;
}

/** Bytes that may still be spent on a link in this billing period, for everything but emergencies; null: no limit. */
export type Budget = Record<string, number | null>;

export type UploadPlan =
  | { do: 'upload'; id: string; link: string }
  /** `untilMs`: wall clock at which something may have changed by itself; null: only an event changes it. */
  | { do: 'wait'; untilMs: number | null; why: string };

const RANK: Record<Priority, number> = { emergency: 0, urgent: 1, routine: 2, auto: 3 };
/** A picture of everything is there before a film of anything. */
const RENDITION: Record<Rendition, number> = { stills: 0, proxy: 1, original: 2 };
const COST: Record<LinkConfig['cost'], number> = { flat: 0, metered: 1, emergency: 2 };

/** The order in which clips go out: what matters more first, then the smaller rendition, and of equals the newest. */
export function uploadOrder(a: QueuedUpload, b: QueuedUpload): number {
  return (
    RANK[a.priority] - RANK[b.priority] ||
    RENDITION[a.rendition] - RENDITION[b.rendition] ||
    b.createdMs - a.createdMs ||
    (a.id < b.id ? 1 : -1)
  );
}

/** Why a clip may not go over a link; null: it may. */
export function refusal(clip: QueuedUpload, link: LinkState, left: number | null): string | null {
  if (clip.priority === 'emergency') return null;
  if (link.cost === 'emergency') return `${link.id} is for emergencies`;
  if (!link.open) return `outside of the hours of ${link.id}`;
  if (clip.priority === 'auto' && !link.auto.includes(clip.rendition)) {
    return `${link.id} takes no ${clip.rendition} of motion by itself`;
  }
  if (clip.priority === 'routine' && clip.rendition === 'original' && !link.originals) {
    return `${link.id} takes no originals that are routine`;
  }
  if (left !== null && (left <= 0 || (clip.restBytes ?? 0) > left)) return `the budget of ${link.id} is spent`;
  return null;
}

/** What to send next, over which link: of those that may take it the cheapest, of equals the first configured. */
export function planUpload(
  queue: readonly QueuedUpload[],
  links: readonly LinkState[],
  budget: Budget,
  nowMs: number,
): UploadPlan {
  if (queue.length === 0) return { do: 'wait', untilMs: null, why: 'nothing waits' };
  const usable = links.filter((link) => link.usable).sort((a, b) => COST[a.cost] - COST[b.cost]);
  if (usable.length === 0) return { do: 'wait', untilMs: nowMs + LOOK_MS, why: 'no uplink is up' };
  let best: { clip: QueuedUpload; link: LinkState } | undefined;
  let why: string | undefined;
  let next: number | null = null;
  for (const clip of queue) {
    if (clip.notBeforeMs > nowMs) {
      next = Math.min(next ?? clip.notBeforeMs, clip.notBeforeMs);
      continue;
    }
    if (best !== undefined && uploadOrder(clip, best.clip) > 0) continue;
    const link = usable.find((one) => refusal(clip, one, budget[one.id] ?? null) === null);
    if (link !== undefined) best = { clip, link };
    else why ??= refusal(clip, usable[0]!, budget[usable[0]!.id] ?? null) ?? undefined;
  }
  if (best !== undefined) return { do: 'upload', id: best.clip.id, link: best.link.id };
  if (why === undefined) return { do: 'wait', untilMs: next, why: 'waiting before the next attempt' };
  // Hours open and billing periods begin by themselves.
  return { do: 'wait', untilMs: Math.min(next ?? Infinity, nowMs + 60_000), why };
}

/** A link is back within a second of being measured: nothing waits longer for it. */
const LOOK_MS = 1_000;
