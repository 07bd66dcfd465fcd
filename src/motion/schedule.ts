import type { WeeklyHours } from '../contract/policy.js';

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const DAY_MINUTES = 1_440;

/** Whether a moment lies within weekly hours on the wall clock of `timeZone` (IANA). No hours: always. */
export function isWithin(hours: readonly WeeklyHours[], wallMs: number, timeZone: string): boolean {
  if (hours.length === 0) return true;
  const parts = new Intl.DateTimeFormat('en-GB', {
    ...{ timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  }).formatToParts(wallMs);
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? '';
  const day = DAYS.indexOf(part('weekday').toLowerCase() as (typeof DAYS)[number]);
  const minute = Number(part('hour')) * 60 + Number(part('minute'));
  return hours.some(({ days, from, to }) => {
    const begin = minuteOf(from);
    const end = minuteOf(to) > begin ? minuteOf(to) : minuteOf(to) + DAY_MINUTES;
    const today = days.includes(DAYS[day]!) && minute >= begin && minute < end;
    const yesterday = days.includes(DAYS[(day + 6) % 7]!) && minute + DAY_MINUTES < end;
    return today || yesterday;
  });
}

function minuteOf(text: string): number {
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));
}
