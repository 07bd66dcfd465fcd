import type { PolicyDocument } from '../contract/policy.js';

const DAY_MS = 86_400_000;

/** How long the terms let recordings of each camera become, ms. Of several lines for one camera the shortest counts. */
export function longestKept(document: PolicyDocument | null): Record<string, number> {
  const longest: Record<string, number> = {};
  for (const { camera, retentionMaxDays } of document?.cameras ?? []) {
    if (retentionMaxDays === null) continue;
    longest[camera] = Math.min(longest[camera] ?? Infinity, retentionMaxDays * DAY_MS);
  }
  return longest;
}
