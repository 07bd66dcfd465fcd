import type { LinkConfig } from './ports.js';

export interface BudgetState {
  /** Start of the running billing period and of the next one, ms since 1970 (UTC midnights). */
  fromMs: number;
  toMs: number;
  /** Bytes of this period so far, both directions. */
  used: number;
  /** Null: no limit. */
  limit: number | null;
  /** What everything but emergencies may still use; null: no limit. Never below 0. */
  left: number | null;
  /** Bytes by the end of the period at the pace so far; null in the first six hours, when one clip would decide it. */
  forecast: number | null;
}

const SOONEST_MS = 6 * 3_600_000;

/** The billing period (UTC) in which a moment lies. */
export function billingPeriod(billingDay: number, nowMs: number): { fromMs: number; toMs: number } {
  const now = new Date(nowMs);
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()];
  const here = Date.UTC(year, month, billingDay);
  return nowMs >= here
    ? { fromMs: here, toMs: Date.UTC(year, month + 1, billingDay) }
    : { fromMs: Date.UTC(year, month - 1, billingDay), toMs: here };
}

/** Where a link stands in its billing period. */
export function budgetState(link: Pick<LinkConfig, 'budget'>, used: number, nowMs: number): BudgetState {
  const { fromMs, toMs } = billingPeriod(link.budget?.billingDay ?? 1, nowMs);
  const passed = nowMs - fromMs;
  const forecast = passed < SOONEST_MS ? null : Math.round((used / passed) * (toMs - fromMs));
  if (link.budget === null) return { fromMs, toMs, used, limit: null, left: null, forecast };
  const { bytes, reserve } = link.budget;
  return { fromMs, toMs, used, limit: bytes, left: Math.max(0, Math.floor(bytes * (1 - reserve)) - used), forecast };
}
