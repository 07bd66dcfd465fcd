import { BluelightError } from '../base/errors.js';
import { parseUnique, type Json } from './json.js';

/**
 * The one text of a value: RFC 8785 (JCS) restricted to objects, arrays, strings in NFC, booleans, null and safe
 * integers. Keys in order of their UTF-16 code units, no white space. Properties that are undefined are left out.
 * @throws BluelightError NOT_CANONICAL naming the path of what has no canonical form
 */
export function canonical(value: unknown): string {
  return write(value, '$');
}

/** `canonical` as UTF-8: what is hashed. */
export function canonicalBytes(value: unknown): Uint8Array {
  return Buffer.from(canonical(value), 'utf8');
}

/**
 * Reads a text that claims to be canonical. Anything else, duplicate keys included, is refused, so that a text and
 * its value are one to one.
 * @throws BluelightError BAD_JSON | NOT_CANONICAL
 */
export function parseCanonical(text: string): Json {
  const value = parseUnique(text);
  if (canonical(value) !== text) {
    throw new BluelightError('NOT_CANONICAL', 'the document is not in canonical form (RFC 8785)');
  }
  return value;
}

/** UTF-8 JSON in which no key stands twice. @throws BluelightError BAD_JSON */
export function parseJsonBytes(bytes: Uint8Array): Json {
  try {
    return parseUnique(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    if (error instanceof BluelightError) throw error;
    throw new BluelightError('BAD_JSON', 'the document is not UTF-8', { cause: error });
  }
}

function write(value: unknown, path: string): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      if (!Number.isSafeInteger(value)) fail(path, `the number ${value} is not a safe integer`);
      return Object.is(value, -0) ? '0' : String(value);
    case 'string':
      return text(value, path);
    case 'object':
      return Array.isArray(value) ? list(value, path) : record(value, path);
    default:
      return fail(path, `a ${typeof value} cannot be written`);
  }
}

function list(values: unknown[], path: string): string {
  return `[${values.map((item, i) => write(item, `${path}[${i}]`)).join(',')}]`;
}

function record(value: object, path: string): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) fail(path, 'only plain objects can be written');
  const entries = value as Record<string, unknown>;
  const parts: string[] = [];
  // Without a comparator sort() orders by UTF-16 code units, as RFC 8785 §3.2.3 asks.
  for (const key of Object.keys(entries).sort()) {
    const item = entries[key];
    if (item === undefined) continue;
    if (key.normalize('NFC') !== key) fail(path, `the key ${JSON.stringify(key)} is not in NFC`);
    parts.push(`${text(key, path)}:${write(item, `${path}.${key}`)}`);
  }
  return `{${parts.join(',')}}`;
}

function text(value: string, path: string): string {
  const composed = value.normalize('NFC');
  if (/\p{Surrogate}/u.test(composed)) fail(path, 'a string has a lone surrogate');
  // ECMAScript's own escaping is the one that RFC 8785 §3.2.2.2 prescribes.
  return JSON.stringify(composed);
}

function fail(path: string, why: string): never {
  throw new BluelightError('NOT_CANONICAL', `${path}: ${why}`);
}
