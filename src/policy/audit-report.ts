import { formatBytes } from '../base/units.js';
import type { AuditDigest, AuditNumbers } from '../contract/audit.js';
import { toUtc } from '../contract/primitives.js';
import type { LinkedAuditRow } from '../store/audit-chain.js';
import type { TableCalls } from '../store/calls.js';
import { auditWords } from './audit-words.js';
import type { CameraNames } from './preview.js';

const MOST_LINES = 200;

export interface Site {
  names: CameraNames;
  timeZone: string;
}

/** What the reader is not shown yet. */
export interface Untold {
  /** Jobs of looks that are told later. */
  without: readonly string[];
  /** How much later at most, s. */
  limitS: number;
}
/** For whoever is shown everything at once. */
const ALL_TOLD: Untold = { without: [], limitS: 0 };

/** Who looked, in a stretch of time: the weekly digest, and with a year the yearly numbers. */
export async function auditDigest(
  audit: Pick<TableCalls['audit'], 'numbers' | 'list'>,
  range: { fromMs: number; toMs: number },
  { names, timeZone }: Site,
  { without, limitS }: Untold = ALL_TOLD,
): Promise<AuditDigest> {
  // Counted in the thread of the store: a year of rows does not cross over.
  const numbers = await audit.numbers({ ...range, without });
  const rows = await audit.list({ ...range, without, outside: true, limit: MOST_LINES });
  const asked = Object.values(numbers.byAgency).reduce((sum, one) => sum + one.granted + one.refused, 0);
  return {
    from: toUtc(range.fromMs),
    to: toUtc(range.toMs),
    timeZone,
    numbers,
    summary: [...summaryWords(numbers, names), ...untoldWords(limitS)],
    lines: rows.map(auditWords(names, timeZone)),
    more: asked - rows.length,
  };
}

/** Rows of a copy of the log, as `auditDigest` wants them. */
export function auditOfRows(
  rows: readonly LinkedAuditRow[],
  count: (rows: Iterable<LinkedAuditRow>) => AuditNumbers,
): Pick<TableCalls['audit'], 'numbers' | 'list'> {
  const within = (range: { fromMs?: number; toMs?: number }): LinkedAuditRow[] =>
    rows.filter(({ atMs }) => atMs >= (range.fromMs ?? 0) && atMs < (range.toMs ?? Infinity));
  return {
    numbers: (range) => Promise.resolve(count(within(range))),
    list: (query) => {
      const outside = (row: LinkedAuditRow): boolean =>
        row.kind === 'access' && row.ref === null && row.agency !== null;
      const found = within(query).filter((row) => query.outside !== true || outside(row));
      return Promise.resolve(found.reverse().slice(0, query.limit));
    },
  };
}

/** The calendar year of the site, ms since 1970. */
export function yearOf(year: number, timeZone: string): { fromMs: number; toMs: number } {
  return { fromMs: midnight(year, timeZone), toMs: midnight(year + 1, timeZone) };
}

/** The first moment of a year: the offset of the zone then is found by what its clock shows. */
function midnight(year: number, timeZone: string): number {
  const utc = Date.UTC(year, 0, 1);
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  }).formatToParts(utc);
  const number = (type: string): number => Number(parts.find((part) => part.type === type)!.value);
  const shown = Date.UTC(number('year'), number('month') - 1, number('day'), number('hour'), number('minute'));
  return utc - (shown - utc);
}

function untoldWords(limitS: number): string[] {
  if (limitS === 0) return [];
  const minutes = Math.ceil(limitS / 60);
  return [
    `Your terms let the city have you told of a look up to ${minutes} minutes later: some may not stand here yet, and are counted when they do.`,
  ];
}

/** The numbers as a person reads them. */
function summaryWords(n: AuditNumbers, names: CameraNames): string[] {
  const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((all, one) => all + one, 0);
  const listed = (counts: Record<string, number>, name = (key: string): string => key): string =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([key, count]) => `${name(key)} ${count}`)
      .join(', ');
  const [granted, refused] = [sum(n.granted), sum(n.refused)];
  const lines =
    granted + refused === 0
      ? ['Nobody outside asked to look.']
      : [
          `People outside looked ${times(granted)} and were refused ${times(refused)}: ${n.persons} named persons, ${n.cases} cases, ${n.withoutCase} requests without a case number.`,
          ...Object.entries(n.byAgency).map(
            ([agency, one]) =>
              `${agency}: ${times(one.granted)} granted, ${times(one.refused)} refused, ${formatBytes(one.bytes)}.`,
          ),
        ];
  if (granted > 0)
    lines.push(`What was looked at: ${listed(n.granted)}. Cameras: ${listed(n.byCamera, (c) => names[c] ?? c)}.`);
  if (refused > 0) lines.push(`Refused because: ${listed(n.refusedByCode)}.`);
  for (const { reason, ...one } of n.byReason.slice(0, 10))
    lines.push(
      `Reason "${reason === '' ? 'none' : reason}": ${times(one.granted)} granted, ${times(one.refused)} refused.`,
    );
  if (n.clipsUnasked > 0) lines.push(`Clips of motion sent without anyone asking, as agreed: ${n.clipsUnasked}.`);
  return [
    ...lines,
    `In all ${formatBytes(n.bytesOut)} left the box for the city.`,
    `Emergencies declared: ${n.emergencies}; looks that only they allowed: ${n.emergencyLooks}.`,
    `Sharing was paused ${times(n.pauses)}, the terms changed ${times(n.policyChanges)}.`,
    `At the box itself: ${sum(n.localLooks) === 0 ? 'nobody looked' : `looks by ${listed(n.localLooks)}`}; ${n.logins.done} logins, ${n.logins.refused} not let in.`,
  ];
}

function times(n: number): string {
  return n === 1 ? 'once' : `${n} times`;
}
