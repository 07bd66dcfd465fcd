import { BluelightError } from './errors.js';

const DURATION_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_BYTES: Record<string, number> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** `"90s"`, `"2h"`, `"1d"` -> milliseconds. */
export function parseDuration(text: string): number {
  return parseWithUnit(text, DURATION_MS, 'a duration such as "10s", "15m" or "7d"');
}

/** `"20GB"`, `"512MiB"` -> bytes (decimal units are powers of 1000, as disks are sold). */
export function parseSize(text: string): number {
  return parseWithUnit(text, SIZE_BYTES, 'a size such as "500MB" or "20GB"');
}

function parseWithUnit(text: string, units: Record<string, number>, wanted: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  const unit = match === null ? undefined : units[match[2]!];
  if (match === null || unit === undefined) {
    throw new BluelightError('BAD_UNIT', `"${text}" is not ${wanted}`, { fix: `write ${wanted}` });
  }
  return Math.round(Number(match[1]) * unit);
}

export function formatBytes(bytes: number): string {
  const steps: [number, string][] = [
    [1e12, 'TB'],
    [1e9, 'GB'],
    [1e6, 'MB'],
    [1e3, 'kB'],
  ];
  for (const [size, name] of steps) if (bytes >= size) return `${(bytes / size).toFixed(1)} ${name}`;
  return `${Math.round(bytes)} B`;
}

export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}
