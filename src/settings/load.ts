import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import { SETTINGS, type Setting, type SettingKey, type Settings } from './table.js';

export interface SettingProblem {
  key: string;
  reason: string;
  fix: string;
}

/** Reads and checks the configuration file. Throws CONFIG_INVALID that names every bad key, the reason and the fix. */
export function loadSettings(path: string): Settings {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const missing = errorCode(error) === 'ENOENT';
    throw new BluelightError('CONFIG_UNREADABLE', `cannot read ${path}: ${errorMessage(error)}`, {
      fix: missing
        ? 'give its path with --config, or copy config/bluelight.example.toml there'
        : 'look at its permissions',
      cause: error,
    });
  }
  return decodeSettings(text, path);
}

export function decodeSettings(text: string, name: string): Settings {
  let tree: Record<string, unknown>;
  try {
    tree = parse(text);
  } catch (error) {
    const where = error instanceof TomlError ? ` line ${error.line}, column ${error.column}` : '';
    throw new BluelightError('CONFIG_INVALID', `${name}${where}: not TOML: ${errorMessage(error).split('\n')[0]}`, {
      fix: 'mend that line; texts need quotes, lists need [ ]',
      cause: error,
    });
  }
  const given = flatten(tree);
  const problems: SettingProblem[] = [];
  for (const key of given.keys()) {
    if (!(key in SETTINGS)) problems.push({ key, reason: 'there is no such setting', fix: didYouMean(key) });
  }
  const settings: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(SETTINGS) as [SettingKey, Setting][]) {
    const result = setting.decode.safeParse(given.get(key) ?? setting.default);
    if (result.success) {
      settings[key] = result.data;
    } else {
      const wanted = result.error.issues.map((issue) => issue.message).join('; ');
      problems.push({
        key,
        reason: `${JSON.stringify(given.get(key))} is not possible: ${wanted}`,
        fix: `write for example ${key.split('.').at(-1)} = ${JSON.stringify(setting.default)}`,
      });
    }
  }
  if (problems.length > 0) {
    const lines = problems.map((p) => `${p.key}: ${p.reason}`).join('\n  ');
    throw new BluelightError('CONFIG_INVALID', `${name}:\n  ${lines}`, {
      fix: problems.map((p) => `${p.key}: ${p.fix}`).join('\n  '),
    });
  }
  return settings as Settings;
}

function flatten(tree: Record<string, unknown>, prefix = ''): Map<string, unknown> {
  const flat = new Map<string, unknown>();
  for (const [name, value] of Object.entries(tree)) {
    const key = prefix + name;
    const isTable = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
    if (isTable) for (const [k, v] of flatten(value as Record<string, unknown>, `${key}.`)) flat.set(k, v);
    else flat.set(key, value);
  }
  return flat;
}

function didYouMean(key: string): string {
  const [best] = Object.keys(SETTINGS)
    .map((known) => ({ known, distance: editDistance(key, known) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= 4
    ? `did you mean ${best.known}?`
    : 'take it out; `bluelight settings explain` lists what there is';
}

/** Levenshtein distance, for "did you mean". */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
