import type { AuditNumbers } from '../store/audit-numbers.js';
import type { TableCalls } from '../store/calls.js';
import { auditWords } from './audit-words.js';
import type { CameraNames } from './preview.js';

const MOST_LINES = 200;

export interface AuditDigest {
  fromMs: number;
  toMs: number;
  numbers: AuditNumbers;
  /** What people outside got and asked for, newest first; at most 200. */
  lines: string[];
  /** How many lines were left out. */
  more: number;
}

/** Who looked, in a stretch of time: the weekly digest, and with a year the yearly numbers. */
export async function auditDigest(
  audit: TableCalls['audit'],
  range: { fromMs: number; toMs: number },
  names: CameraNames,
  timeZone: string,
): Promise<AuditDigest> {
  // Counted in the thread of the store: a year of rows does not cross over.
  const numbers = await audit.numbers(range);
  const rows = await audit.list({ ...range, outside: true, limit: MOST_LINES });
  const asked = Object.values(numbers.byAgency).reduce((sum, one) => sum + one.granted + one.refused, 0);
  return {
    ...range,
    numbers,
    lines: rows.map(auditWords(names, timeZone)),
    more: asked - rows.length,
  };
}
