import type { Sql } from './sql.js';

const DAY_MS = 86_400_000;

export interface LedgerSum {
  uplink: string;
  class: string;
  sent: number;
  received: number;
}

/** Bytes that went over each uplink, per UTC day and class of traffic. Survives restarts: budgets count on it. */
export function byteLedgerTable(sql: Sql) {
  return {
    /** Adds what was counted since the last call, all entries or none. */
    add(entries: { uplink: string; class: string; atMs: number; sent: number; received: number }[]): void {
      sql.transaction(() => {
        for (const entry of entries) {
          sql.run(
            `insert into byte_ledger (uplink, day, class, sent, received) values (:uplink, :day, :class, :sent, :received)
             on conflict do update set sent = sent + excluded.sent, received = received + excluded.received`,
            {
              uplink: entry.uplink,
              day: Math.floor(entry.atMs / DAY_MS),
              class: entry.class,
              sent: entry.sent,
              received: entry.received,
            },
          );
        }
      });
    },
    /** Whole UTC days: that of `fromMs` and all after it up to that of `toMs`, both included. */
    sums(ask: { fromMs: number; toMs: number; uplink?: string }): LedgerSum[] {
      return sql.all<LedgerSum>(
        `select uplink, class, sum(sent) as sent, sum(received) as received from byte_ledger
         where day between :from and :to and (:uplink is null or uplink = :uplink)
         group by uplink, class order by uplink, class`,
        {
          from: Math.floor(ask.fromMs / DAY_MS),
          to: Math.floor(ask.toMs / DAY_MS),
          uplink: ask.uplink ?? null,
        },
      );
    },
  };
}
