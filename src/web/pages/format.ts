import { t } from './strings.js';

const clock = new Intl.DateTimeFormat(t.locale, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
});
const shortClock = new Intl.DateTimeFormat(t.locale, { hour: '2-digit', minute: '2-digit', hour12: false });
const day = new Intl.DateTimeFormat(t.locale, { weekday: 'short', month: 'short', day: 'numeric' });

export const time = (ms: number): string => clock.format(ms);
export const shortTime = (ms: number): string => shortClock.format(ms);
export const date = (ms: number): string => day.format(ms);

export function isToday(ms: number): boolean {
  return new Date(ms).toDateString() === new Date().toDateString();
}

/** `14:05:09`, with the day in front of it when it is not today. */
export function when(ms: number): string {
  return isToday(ms) ? time(ms) : `${date(ms)}, ${time(ms)}`;
}

export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s}\u00a0s`;
  if (s < 3600)
    return s % 60 === 0 || s >= 600
      ? `${Math.round(s / 60)}\u00a0min`
      : `${Math.floor(s / 60)}\u00a0min ${s % 60}\u00a0s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}\u00a0h ${Math.floor((s % 3600) / 60)}\u00a0min`;
  return `${Math.floor(s / 86_400)}\u00a0d ${Math.floor((s % 86_400) / 3600)}\u00a0h`;
}

export function bytes(n: number): string {
  for (const [size, unit] of [
    [1e12, 'TB'],
    [1e9, 'GB'],
    [1e6, 'MB'],
    [1e3, 'kB'],
  ] as const) {
    if (n >= size) return `${(n / size).toFixed(n >= size * 100 ? 0 : 1)}\u00a0${unit}`;
  }
  return `${Math.round(n)}\u00a0B`;
}

export function bitrate(n: number): string {
  return n >= 1e6 ? `${(n / 1e6).toFixed(1)}\u00a0Mbit/s` : `${Math.round(n / 1e3)}\u00a0kbit/s`;
}

/** For `<input type="datetime-local" step="1">`, in the zone of this browser. */
export function toLocalInput(ms: number): string {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function fromLocalInput(text: string): number {
  return new Date(text).getTime();
}
