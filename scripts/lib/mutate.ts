import type { Random } from './random.js';

/** Hosts to which no request may ever go, whoever names them. */
export const FOREIGN = ['10.99.99.99', 'evil.example', '169.254.169.254', '192.0.2.66', '[2001:db8::66]', '127.0.62.66'] as const; // prettier-ignore

const JUNK = ['<', '>', '/>', '"', '&', ']]>', '<!--', '\0', '1e9', '-1', '</', 'é', '<x/>', '{}', '\r\n', ': ', ';;;', '='] as const; // prettier-ignore

/** Cuts, doubles, swaps and scribbles over parts of a text, and puts other hosts into it. */
export function mutateText(text: string, random: Random): string {
  let out = text;
  for (let i = 0; i <= random.below(4); i++) out = mutateOnce(out, random);
  return out;
}

function mutateOnce(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const length = Math.floor(random.next() ** 3 * 200);
  const junk = random.pick(JUNK);
  const part = text.slice(at, at + length);
  const rest = text.slice(at + length);
  switch (random.below(8)) {
    case 0:
      return text.slice(0, at) + rest;
    case 1:
      return text.slice(0, at) + part + part + rest;
    case 2:
      return text.slice(0, at) + junk + text.slice(at + 1);
    case 3:
      return text.slice(0, at);
    case 4:
      return text.slice(0, at) + part.replace(/\w+/g, junk) + rest;
    case 5:
      return text.replaceAll(/\b127\.0\.\d+\.\d+/g, random.pick(FOREIGN));
    case 6:
      return text.slice(0, at) + part.replaceAll(/\d+/g, () => String(random.below(2 ** 31))) + rest;
    default:
      return text.slice(0, at) + junk.repeat(random.below(300)) + text.slice(at);
  }
}

/** Flips, cuts out, doubles or inserts bytes. */
export function mutateBytes(bytes: Uint8Array, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const at = random.below(copy.length + 1);
  const length = random.below(40);
  switch (random.below(5)) {
    case 0:
      for (let i = 0; i < 4; i++) copy[random.below(copy.length)] = random.below(256);
      return copy;
    case 1:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + length)]);
    case 2:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at, at + length), copy.subarray(at)]);
    case 3:
      return copy.subarray(0, at);
    default:
      return Buffer.concat([copy.subarray(0, at), Buffer.from('$\r\n: RTSP/1.0 302 \r\nm=v'), copy.subarray(at)]);
  }
}
