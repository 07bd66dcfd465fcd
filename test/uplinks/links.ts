import { linkSetting } from '../../src/settings/links.js';
import type { z } from 'zod';
import type { LedgerPort, LinkConfig } from '../../src/uplinks/index.js';

/** A link as it would be read from the configuration. */
export function link(id: string, more: Partial<z.input<typeof linkSetting>> = {}): LinkConfig {
  return linkSetting.parse({ id, kind: 'fiber', ...more });
}

export type Entry = Parameters<LedgerPort['add']>[0][number];

/** A ledger in memory, for tests that are not about it. */
export function memoryLedger(): LedgerPort & { entries: Entry[] } {
  const entries: Entry[] = [];
  let counters: unknown = null;
  return {
    entries,
    add: (more) => Promise.resolve(void entries.push(...more)),
    sums: ({ fromMs, toMs, uplink }) =>
      Promise.resolve(
        entries.filter((one) => one.atMs >= fromMs && one.atMs <= toMs && (!uplink || one.uplink === uplink)),
      ),
    loadCounters: () => Promise.resolve(counters),
    saveCounters: (value) => Promise.resolve(void (counters = value)),
  };
}
