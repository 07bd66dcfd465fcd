import type { LinkConfig } from './ports.js';

/** What was measured of a link, at one moment of the clock that never jumps. */
export interface LinkFacts {
  id: string;
  cost: LinkConfig['cost'];
  /** The interface has a carrier and an address, and the center can be reached over it as far as is known. */
  up: boolean;
  /** For how long it has been as it is. */
  forMs: number;
}

/** So long may a link be gone before another one takes over: a short flap is not worth a new session. */
export const FAIL_OVER_MS = 3_000;
/** So long must a better link hold before it takes over again. */
export const FAIL_BACK_MS = 30_000;

const COST: Record<LinkConfig['cost'], number> = { flat: 0, metered: 1, emergency: 2 };

/**
 * Which link carries the session and what may go over it: the cheapest that is up, of equals the first configured. To
 * change has a hold-down, to resume on the same link has none. Null: none is up, or the hold-down runs.
 */
export function chooseLink(links: readonly LinkFacts[], current: string | null): string | null {
  const order = links
    .map((link, i) => ({ link, rank: COST[link.cost] * 1_000 + i }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ link }) => link);
  const now = order.find((link) => link.id === current);
  if (now === undefined) return order.find((link) => link.up)?.id ?? null;
  if (!now.up) return now.forMs < FAIL_OVER_MS ? null : (order.find((link) => link.up)?.id ?? null);
  const better = order.slice(0, order.indexOf(now)).find((link) => link.up && link.forMs >= FAIL_BACK_MS);
  return (better ?? now).id;
}

export interface ProbeFacts {
  cost: LinkConfig['cost'];
  up: boolean;
  probed: boolean;
  current: boolean;
  sinceProbeMs: number;
  /** What it sent is unanswered for so long; 0: it is answered, or has nothing to say. */
  silentMs: number;
  /** The last measurement failed, but was not yet enough to call it down. */
  failed: boolean;
}

/** A link that is not answered for so long is measured. */
export const SUSPICIOUS_MS = 2_000;

/** Whether a link is to be measured now. A metered one is left alone as long as its own traffic shows that it works. */
export function probeDue(link: ProbeFacts): boolean {
  const metered = link.cost !== 'flat';
  if (!link.probed) return true;
  if (!link.up) return link.sinceProbeMs >= (metered ? 15_000 : 5_000);
  if (link.silentMs >= SUSPICIOUS_MS) return link.failed || link.sinceProbeMs >= 5_000;
  if (link.current) return false;
  return link.sinceProbeMs >= (metered ? 600_000 : 30_000);
}
