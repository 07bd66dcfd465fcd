import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { InvalidArgumentError } from 'commander';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import { toUtc } from '../contract/primitives.js';

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

/** Several secrets, one a line. @throws BluelightError USAGE */
export async function readSecrets(prompts: readonly string[]): Promise<string[]> {
  if (process.stdin.isTTY) {
    const given: string[] = [];
    for (const prompt of prompts) given.push(await readSecret(prompt));
    return given;
  }
  const lines = (await text(process.stdin)).split('\n');
  if (prompts.every((_, i) => (lines[i] ?? '') !== '')) return lines.slice(0, prompts.length);
  throw new BluelightError('USAGE', `${prompts.length} lines are needed on standard input`, {
    fix: 'pipe them in, one secret a line, or run this on a terminal',
  });
}

/** A line typed by a person. @throws BluelightError USAGE: nobody is there to type */
export async function ask(prompt: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new BluelightError('USAGE', 'somebody must answer a question here', { fix: 'run this on a terminal' });
  }
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await reader.question(prompt)).trim().toLowerCase();
  } finally {
    reader.close();
  }
}

/** A range of time as a person writes it. @throws BluelightError USAGE */
export function parseRange(from: string, to: string, nowMs: number): { from: string; to: string } {
  const [fromMs, toMs] = [parseTime(from, nowMs), parseTime(to, nowMs)];
  if (fromMs < toMs) return { from: toUtc(fromMs), to: toUtc(toMs) };
  throw new BluelightError('USAGE', `--to (${toUtc(toMs)}) is not later than --from (${toUtc(fromMs)})`, {
    fix: 'swap them, or name the day: 2026-11-23T14:05:00Z',
  });
}

/** `2026-11-23T14:05:00Z`, `14:05` (today, or yesterday if that is still to come), or `-15m` or `+15m`; to ms since 1970. */
export function parseTime(text: string, nowMs: number): number {
  const away = /^([-+]\d+)([smhd])$/.exec(text);
  if (away !== null) {
    const unit = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[away[2] as 's' | 'm' | 'h' | 'd'];
    return nowMs + Number(away[1]) * unit;
  }
  if (text === 'now') return nowMs;
  const clock = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/.exec(text);
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

/** A file that a person named. @throws BluelightError USAGE saying that `what` was wanted */
export function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new BluelightError('USAGE', `cannot read ${path}: ${errorCode(cause) ?? errorMessage(cause)}`, {
      fix: `name ${what}`,
      cause,
    });
  }
}

/** An option that is a whole number. */
export function whole(text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is needed');
  return value;
}
