import type { Priority } from '../contract/clip.js';
import type { LinkConfig } from './ports.js';

export interface QueuedUpload {
  id: string;
  priority: Priority;
  createdMs: number;
  /** Not before this, wall clock. */
  notBeforeMs: number;
  /** Bytes that are still to be sent; null: not known yet. */
  restBytes: number | null;
}

export interface LinkState {
  id: string;
  kind: LinkConfig['kind'];
  usable: boolean;
}

/** Bytes that may still be spent on a link in this billing period, for everything but emergencies; null: no limit. */
export type Budget = Record<string, number | null>;

export type UploadPlan =
  | { do: 'upload'; id: string; link: string }
  /** `untilMs`: wall clock at which something may have changed by itself; null: only an event changes it. */
  | { do: 'wait'; untilMs: number | null; why: string };

const RANK: Record<Priority, number> = { emergency: 0, urgent: 1, routine: 2, auto: 3 };

/** The order in which clips go out: what matters more first, and of equals the newest. */
export function uploadOrder(a: QueuedUpload, b: QueuedUpload): number {
  return RANK[a.priority] - RANK[b.priority] || b.createdMs - a.createdMs || (a.id < b.id ? 1 : -1);
}

/** What to send next, over which link. Links are taken in the order in which they are configured. */
export function planUpload(
  queue: readonly QueuedUpload[],
  links: readonly LinkState[],
  budget: Budget,
  nowMs: number,
): UploadPlan {
  if (queue.length === 0) return { do: 'wait', untilMs: null, why: 'nothing waits' };
  const usable = links.filter((link) => link.usable);
  if (usable.length === 0) return { do: 'wait', untilMs: null, why: 'no uplink is up' };
  const due = queue.filter((clip) => clip.notBeforeMs <= nowMs).sort(uploadOrder);
  for (const clip of due) {
    const link = usable.find((candidate) => affords(budget[candidate.id] ?? null, clip));
    if (link !== undefined) return { do: 'upload', id: clip.id, link: link.id };
  }
  const later = queue.map((clip) => clip.notBeforeMs).filter((ms) => ms > nowMs);
  return {
    do: 'wait',
    untilMs: later.length === 0 ? null : Math.min(...later),
    why: due.length > 0 ? 'the budget is spent' : 'waiting before the next attempt',
  };
}

function affords(left: number | null, clip: QueuedUpload): boolean {
  return left === null || clip.priority === 'emergency' || (clip.restBytes ?? 0) <= left;
}
