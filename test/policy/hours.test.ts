import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isOpenThroughout, isTimeZone, openSpans, openUntil } from '../../src/policy/hours.js';

type Hours = Parameters<typeof openSpans>[0];
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const everyDay = [...DAYS];
const chicago = 'America/Chicago';
const utc = (text: string): number => Date.parse(text);
const spans = (hours: Hours, zone: string, from: string, to: string): string[] =>
  openSpans(hours, zone, { fromMs: utc(from), toMs: utc(to) }).map(
    (s) => `${new Date(s.fromMs).toISOString()}/${new Date(s.toMs).toISOString()}`,
  );

test('an evening and a night over midnight, in summer and in winter time', () => {
  const night: Hours = [{ days: ['fri'], from: '22:00', to: '06:00' }];
  expect(spans(night, chicago, '2026-07-03T00:00:00Z', '2026-07-06T00:00:00Z')).toEqual([
    '2026-07-04T03:00:00.000Z/2026-07-04T11:00:00.000Z',
  ]);
  expect(spans(night, chicago, '2026-01-02T00:00:00Z', '2026-01-05T00:00:00Z')).toEqual([
    '2026-01-03T04:00:00.000Z/2026-01-03T12:00:00.000Z',
  ]);
});

test('spring: the night of the change is an hour shorter, and a window in the skipped hour does not exist', () => {
  const night: Hours = [{ days: ['sat'], from: '22:00', to: '06:00' }];
  // 2026-03-08, 02:00 CST becomes 03:00 CDT
  expect(spans(night, chicago, '2026-03-07T12:00:00Z', '2026-03-08T18:00:00Z')).toEqual([
    '2026-03-08T04:00:00.000Z/2026-03-08T11:00:00.000Z',
  ]);
  const skipped: Hours = [{ days: ['sun'], from: '02:00', to: '03:00' }];
  expect(spans(skipped, chicago, '2026-03-08T00:00:00Z', '2026-03-09T00:00:00Z')).toEqual([]);
  expect(
    spans([{ days: ['sun'], from: '02:30', to: '03:30' }], chicago, '2026-03-08T00:00:00Z', '2026-03-09T00:00:00Z'),
  ).toEqual(['2026-03-08T08:00:00.000Z/2026-03-08T08:30:00.000Z']);
});

test('autumn: the hour that comes twice counts twice', () => {
  // 2026-11-01, 02:00 CDT becomes 01:00 CST
  expect(
    spans([{ days: ['sun'], from: '01:00', to: '02:00' }], chicago, '2026-11-01T00:00:00Z', '2026-11-02T00:00:00Z'),
  ).toEqual(['2026-11-01T06:00:00.000Z/2026-11-01T08:00:00.000Z']);
  expect(
    spans([{ days: ['sun'], from: '01:00', to: '01:30' }], chicago, '2026-11-01T00:00:00Z', '2026-11-02T00:00:00Z'),
  ).toEqual(['2026-11-01T06:00:00.000Z/2026-11-01T06:30:00.000Z', '2026-11-01T07:00:00.000Z/2026-11-01T07:30:00.000Z']);
});

test('whole days, the end of the day and no hours at all', () => {
  const range = { fromMs: utc('2026-06-01T00:00:00Z'), toMs: utc('2026-06-08T00:00:00Z') };
  expect(openSpans([], 'UTC', range)).toEqual([range]);
  expect(openSpans([{ days: everyDay, from: '00:00', to: '24:00' }], 'UTC', range)).toEqual([range]);
  expect(openSpans([{ days: everyDay, from: '08:00', to: '08:00' }], 'UTC', range)).toEqual([range]);
  expect(openSpans([{ days: everyDay, from: '00:00', to: '12:00' }], 'UTC', { fromMs: 5, toMs: 5 })).toEqual([]);
});

test('until when it stays open', () => {
  const hours: Hours = [{ days: everyDay, from: '08:00', to: '18:00' }];
  const at = utc('2026-06-01T17:00:00Z');
  expect(openUntil(hours, 'UTC', at, 86_400_000)).toBe(utc('2026-06-01T18:00:00Z'));
  expect(openUntil(hours, 'UTC', at, 60_000)).toBe(at + 60_000);
  expect(openUntil(hours, 'UTC', utc('2026-06-01T18:00:00Z'), 60_000)).toBeNull();
});

test('unknown zones are refused', () => {
  expect(isTimeZone('America/Chicago')).toBe(true);
  expect(isTimeZone('Mars/Olympus')).toBe(false);
});

/** What a person reading the wall clock at the site would say, minute by minute. */
function byClock(hours: Hours, zone: string, atMs: number): boolean {
  if (hours.length === 0) return true;
  const text = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(atMs);
  const get = (type: string): string => text.find((p) => p.type === type)!.value;
  const day = DAYS.indexOf(get('weekday').toLowerCase() as (typeof DAYS)[number]);
  const minute = Number(get('hour')) * 60 + Number(get('minute'));
  return hours.some((entry) => {
    const [from, to] = [entry.from, entry.to].map((t) => Number(t.slice(0, 2)) * 60 + Number(t.slice(3)));
    const today = entry.days.includes(DAYS[day]!);
    const yesterday = entry.days.includes(DAYS[(day + 6) % 7]!);
    if (to! > from!) return today && minute >= from! && minute < to!;
    return (today && minute >= from!) || (yesterday && minute < to!);
  });
}

const minuteText = fc
  .nat(1439)
  .map((m) => `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`);
const hoursOf = fc.array(
  fc.record({ days: fc.subarray(everyDay, { minLength: 1 }), from: minuteText, to: minuteText }),
  { maxLength: 3 },
);
/** Days around changes of the clock, of whole and half hours, north and south of the equator, and one without. */
const placeAndDay = fc.constantFrom(
  [chicago, '2026-03-08'],
  [chicago, '2026-11-01'],
  ['Europe/Berlin', '2026-03-29'],
  ['Europe/Berlin', '2026-10-25'],
  ['Australia/Lord_Howe', '2026-04-05'],
  ['Australia/Lord_Howe', '2026-10-04'],
  ['America/St_Johns', '2026-11-01'],
  ['Asia/Kathmandu', '2026-05-01'],
  ['Africa/Casablanca', '2026-02-15'],
  ['UTC', '2026-02-28'],
  // Samoa left out a whole day.
  ['Pacific/Apia', '2011-12-30'],
);

test('agrees with the wall clock at every minute around every change of the clock', () => {
  fc.assert(
    fc.property(
      hoursOf,
      placeAndDay,
      fc.integer({ min: -1800, max: 1800 }),
      fc.nat(600),
      (hours, [zone, day], shift, length) => {
        const fromMs = utc(`${day}T00:00:00Z`) + shift * 60_000;
        const range = { fromMs, toMs: fromMs + length * 60_000 };
        const found = openSpans(hours, zone!, range);
        let all = range.toMs > range.fromMs;
        for (let at = range.fromMs; at < range.toMs; at += 60_000) {
          const open = byClock(hours, zone!, at);
          all &&= open;
          expect(found.some((s) => s.fromMs <= at && at < s.toMs)).toBe(open);
        }
        expect(isOpenThroughout(hours, zone!, range)).toBe(all);
      },
    ),
    { numRuns: 120 },
  );
}, 60_000);
