import { isIPv4, isIPv6 } from 'node:net';

/** The few DER forms (ITU-T X.690) that a certificate and a certificate request are made of. */
export type Der = Buffer;

function tagged(tag: number, body: Uint8Array): Der {
  const length =
    body.length < 0x80
      ? Buffer.of(body.length)
      : body.length < 0x100
        ? Buffer.of(0x81, body.length)
        : Buffer.of(0x82, body.length >> 8, body.length & 0xff);
  return Buffer.concat([Buffer.of(tag), length, body]);
}

export const sequence = (...parts: Der[]): Der => tagged(0x30, Buffer.concat(parts));
export const set = (...parts: Der[]): Der => tagged(0x31, Buffer.concat(parts));
export const octets = (body: Uint8Array): Der => tagged(0x04, body);
export const utf8 = (text: string): Der => tagged(0x0c, Buffer.from(text, 'utf8'));
export const boolean = (value: boolean): Der => tagged(0x01, Buffer.of(value ? 0xff : 0));
/** `[n]`, constructed. */
export const context = (n: number, ...parts: Der[]): Der => tagged(0xa0 | n, Buffer.concat(parts));
/** `[n]`, primitive: an implicit tag over the bytes of another type. */
export const contextBytes = (n: number, body: Uint8Array): Der => tagged(0x80 | n, body);
/** @param unused low bits of the last byte that do not count */
export const bits = (body: Uint8Array, unused = 0): Der => tagged(0x03, Buffer.concat([Buffer.of(unused), body]));

/** A non-negative integer, big-endian. */
export function integer(value: Uint8Array): Der {
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start++;
  const plain = value.subarray(start);
  return tagged(0x02, (plain[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), plain]) : plain);
}

/** `"2.5.29.17"`. */
export function oid(text: string): Der {
  const [first, second, ...rest] = text.split('.').map(Number);
  const bytes = [first! * 40 + second!];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tagged(0x06, Buffer.from(bytes));
}

/** UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export function time(ms: number): Der {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return digits < '2050' ? tagged(0x17, Buffer.from(digits.slice(2))) : tagged(0x18, Buffer.from(digits));
}

/** subjectAltName (RFC 5280 §4.2.1.6): dNSName is [2], iPAddress [7]. */
export function generalNames(names: readonly string[]): Der {
  return sequence(
    ...names.map((name) => {
      const ip = addressBytes(name);
      return ip === null ? contextBytes(2, Buffer.from(name, 'ascii')) : contextBytes(7, ip);
    }),
  );
}

function addressBytes(text: string): Buffer | null {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  if (!isIPv6(text)) return null;
  // The URL parser writes an IPv6 address in its one normal form, an embedded IPv4 included (RFC 5952).
  const [head, tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string | undefined): string[] => (part === undefined || part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), groups(tail)];
  const all =
    tail === undefined ? left : [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return Buffer.concat(all.map((group) => Buffer.from(group.padStart(4, '0'), 'hex')));
}

export function pem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
