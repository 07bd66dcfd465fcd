import { text } from 'node:stream/consumers';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { BluelightError } from '../base/errors.js';

/**
 * A secret from standard input: a whole line from a pipe, or typed without echo. Never from argv, where every
 * user of the machine could read it.
 */
export async function readSecret(prompt: string): Promise<string> {
  if (!process.stdin.isTTY) {
    const given = (await text(process.stdin)).split('\n')[0] ?? '';
    if (given === '')
      throw new BluelightError('USAGE', 'no password on standard input', {
        fix: 'pipe it in, or run this on a terminal',
      });
    return given;
  }
  process.stderr.write(prompt);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await reader.question('');
  } finally {
    reader.close();
    process.stderr.write('\n');
  }
}

/** `2026-11-23T14:05:00Z`, `14:05` (today, or yesterday if that is still to come), or `-15m`; to ms since 1970. */
export function parseTime(text: string, nowMs: number): number {
  const ago = /^-(\d+)([smhd])$/.exec(text);
  if (ago !== null) {
    const unit = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[ago[2] as 's' | 'm' | 'h' | 'd'];
    return nowMs - Number(ago[1]) * unit;
  }
  if (text === 'now') return nowMs;
  const clock = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(text);
  if (clock !== null) {
    const day = new Date(nowMs);
    day.setHours(Number(clock[1]), Number(clock[2]), Number(clock[3] ?? 0), 0);
    return day.getTime() > nowMs ? day.getTime() - 864e5 : day.getTime();
  }
  const full = Date.parse(text);
  if (Number.isNaN(full)) {
    throw new BluelightError('USAGE', `"${text}" is not a time`, { fix: 'write 2026-11-23T14:05:00Z, 14:05 or -15m' });
  }
  return full;
}
