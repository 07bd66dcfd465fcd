import { BluelightError } from '../base/errors.js';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Deep enough for every message of the contract; a document of 200,000 brackets must not exhaust the stack. */
const MAX_DEPTH = 32;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

/**
 * Reads JSON (RFC 8259) and refuses what two readers may understand differently: a key twice in one object,
 * numbers outside the exact range, lone surrogates. `JSON.parse` silently takes the last of two equal keys,
 * so that a signed document could say one thing to us and another to the next reader.
 * @throws BluelightError BAD_JSON with the offset
 */
export function parseUnique(text: string): Json {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): Json {
    if (depth > MAX_DEPTH) this.#fail(`is nested deeper than ${MAX_DEPTH} levels`);
    this.#match(SPACE);
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  end(): void {
    this.#match(SPACE);
    if (this.#at !== this.#text.length) this.#fail('goes on after its end');
  }

  #object(depth: number): Json {
    const out: { [key: string]: Json } = {};
    this.#at++;
    this.#match(SPACE);
    if (this.#take('}')) return out;
    do {
      this.#match(SPACE);
      const key = this.#string();
      if (Object.hasOwn(out, key)) this.#fail(`has the key ${JSON.stringify(key)} twice`);
      this.#match(SPACE);
      if (!this.#take(':')) this.#fail('wants ":"');
      // defineProperty, so that a key "__proto__" is data and not a prototype.
      Object.defineProperty(out, key, {
        value: this.value(depth + 1),
        enumerable: true,
        writable: true,
        configurable: true,
      });
      this.#match(SPACE);
    } while (this.#take(','));
    if (!this.#take('}')) this.#fail('wants "," or "}"');
    return out;
  }

  #array(depth: number): Json {
    const out: Json[] = [];
    this.#at++;
    this.#match(SPACE);
    if (this.#take(']')) return out;
    do {
      out.push(this.value(depth + 1));
      this.#match(SPACE);
    } while (this.#take(','));
    if (!this.#take(']')) this.#fail('wants "," or "]"');
    return out;
  }

  #string(): string {
    const token = this.#match(STRING);
    if (token === undefined) this.#fail('wants a string');
    const value = JSON.parse(token) as string;
    if (/\p{Surrogate}/u.test(value)) this.#fail('has a lone surrogate in a string');
    return value;
  }

  #number(): number {
    const token = this.#match(NUMBER);
    if (token === undefined) this.#fail('is not JSON');
    const value = Number(token);
    if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
      this.#fail('has a number that is not exact');
    }
    return value;
  }

  #word<T extends Json>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('is not JSON');
    this.#at += word.length;
    return value;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fail(why: string): never {
    throw new BluelightError('BAD_JSON', `the document ${why} (at character ${this.#at})`);
  }
}
