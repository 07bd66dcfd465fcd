import { CLOSED, endMs } from './rows.js';
import type { Tables } from './tables.js';
import type { TimelineEntry } from './types.js';

/** Further apart than this, two segments are drawn apart. */
const JOIN_MS = 500;

export function timeline(tables: Tables, stream: string, fromMs: number, toMs: number): TimelineEntry[] {
  const row = tables.stream(stream);
  const out: TimelineEntry[] = [];
  if (row === undefined) return out;
  for (const segment of tables.overlapping(row, fromMs, toMs)) {
    if (segment.state !== CLOSED) continue;
    const entry = {
      fromMs: Math.max(fromMs, segment.start_ms),
      toMs: Math.min(toMs, endMs(segment)),
      motion: segment.has_motion === 1,
    };
    const last = out.at(-1);
    if (last !== undefined && last.motion === entry.motion && entry.fromMs - last.toMs <= JOIN_MS) {
      last.toMs = Math.max(last.toMs, entry.toMs);
    } else {
      out.push(entry);
    }
  }
  return out;
}
