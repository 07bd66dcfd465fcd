import { BluelightError } from '../base/errors.js';

/**
 * A small XML reader for what cameras send: names without prefixes, text as it stands. Needed beside the packages'
 * own parsing because that turns serial numbers and tokens into numbers and loses whole answers over one odd element.
 */
export interface XmlNode {
  name: string;
  attributes: ReadonlyMap<string, string>;
  text: string;
  children: XmlNode[];
}

const MAX_CHARS = 2 * 1024 * 1024;
const MAX_DEPTH = 64;
const MAX_NODES = 50_000;

/**
 * Linear in its input whatever that is. Comments, DOCTYPE and entities other than XML's own five are ignored; missing
 * end tags are forgiven. Throws CAMERA_INVALID beyond the limits. The root holds all top-level elements.
 */
export function parseXml(text: string): XmlNode {
  if (text.length > MAX_CHARS) throw invalid('too long');
  const root: Building = { name: '', attributes: new Map(), text: '', children: [] };
  const open: Building[] = [root];
  let nodes = 0;
  for (const piece of pieces(text)) {
    const parent = open.at(-1)!;
    if (piece.kind === 'text') {
      if (parent !== root) parent.text += piece.text;
    } else if (piece.kind === 'end') {
      const at = open.findLastIndex((node) => node.name === piece.name);
      if (at > 0) open.length = at;
    } else {
      if (++nodes > MAX_NODES || open.length > MAX_DEPTH) throw invalid('too deep or too large');
      const node: Building = { name: piece.name, attributes: attributesOf(piece.rest), text: '', children: [] };
      parent.children.push(node);
      if (!piece.closed) open.push(node);
    }
  }
  return root;
}

interface Building extends XmlNode {
  attributes: Map<string, string>;
}

type Piece =
  | { kind: 'text'; text: string }
  | { kind: 'start'; name: string; rest: string; closed: boolean }
  | { kind: 'end'; name: string };

function* pieces(text: string): Generator<Piece> {
  let at = 0;
  while (at < text.length) {
    const tag = text.indexOf('<', at);
    const until = tag === -1 ? text.length : tag;
    if (until > at) yield { kind: 'text', text: unescapeXml(text.slice(at, until)).trim() };
    if (tag === -1) return;
    const end = endOfTag(text, tag);
    if (end === -1) return;
    if (text.startsWith('<![CDATA[', tag)) yield { kind: 'text', text: text.slice(tag + 9, end - 2) };
    else if (text[tag + 1] !== '!' && text[tag + 1] !== '?') yield tagPiece(text.slice(tag + 1, end));
    at = end + 1;
  }
}

/** Index of the `>` that ends the markup at `tag`; -1 if it never ends. */
function endOfTag(text: string, tag: number): number {
  const closing = (mark: string): number => {
    const found = text.indexOf(mark, tag);
    return found === -1 ? -1 : found + mark.length - 1;
  };
  if (text.startsWith('<!--', tag)) return closing('-->');
  if (text.startsWith('<![CDATA[', tag)) return closing(']]>');
  let quote = '';
  for (let i = tag + 1; i < text.length; i++) {
    const c = text[i]!;
    if (quote !== '') {
      if (c === quote) quote = '';
    } else if (c === '"' || c === "'") quote = c;
    else if (c === '>') return i;
  }
  return -1;
}

function tagPiece(inside: string): Piece {
  if (inside.startsWith('/')) return { kind: 'end', name: localName(inside.slice(1).trim()) };
  const closed = inside.endsWith('/');
  const body = closed ? inside.slice(0, -1) : inside;
  const space = body.search(/\s/);
  const name = localName(space === -1 ? body : body.slice(0, space));
  return { kind: 'start', name, rest: space === -1 ? '' : body.slice(space), closed };
}

function attributesOf(rest: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const match of rest.matchAll(/([^\s=]{1,100})\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
    found.set(localName(match[1]!), unescapeXml(match[2] ?? match[3] ?? ''));
  }
  return found;
}

function localName(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1);
}

const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{1,8}));/g, (whole, decimal, hex, name) => {
    const code = decimal === undefined ? (hex === undefined ? NaN : parseInt(String(hex), 16)) : Number(decimal);
    if (Number.isNaN(code)) return ENTITIES[String(name)] ?? whole;
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '';
  });
}

function invalid(what: string): BluelightError {
  return new BluelightError('CAMERA_INVALID', `the camera's answer is ${what}`);
}

/** The first element on a path of child names. */
export function child(node: XmlNode | undefined, ...path: string[]): XmlNode | undefined {
  let at = node;
  for (const name of path) at = at?.children.find((one) => one.name === name);
  return at;
}

/** Text of the element on a path; '' if it is not there. */
export function textAt(node: XmlNode | undefined, ...path: string[]): string {
  return child(node, ...path)?.text ?? '';
}

/** Every element of that name below `node`, in document order. */
export function descendants(node: XmlNode, name: string): XmlNode[] {
  const found: XmlNode[] = [];
  const walk = (at: XmlNode): void => {
    if (at.name === name) found.push(at);
    at.children.forEach(walk);
  };
  walk(node);
  return found;
}

/** Text for people out of a camera: one line, no control characters, bounded. */
export function plainText(text: string, max = 80): string {
  return text
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim()
    .slice(0, max);
}
