import { BluelightError } from '../base/errors.js';

/** The parts of an RTSP address that are used; whatever else stood in it is dropped. */
export interface SourceUrl {
  /** Name, IPv4, or IPv6 without brackets. */
  host: string;
  port: number;
  /** Path and query, percent-encoded, starting with `/`. */
  path: string;
}

const DEFAULT_PORT = 554;

/** Scheme, user info (dropped), host, port, path and query. */
const SHAPE =
  /^rtsp:\/\/(?:[^@/?#]*@)?(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?)(?::(\d{1,5}))?([/?].*)?$/i;

/**
 * Takes an address as a camera gave it apart. It is never used as it stands: it goes into a script of ffmpeg and into
 * RTSP requests, where a quote or a line break would become an instruction. Throws INGEST_URI.
 */
export function parseSource(uri: string): SourceUrl {
  const parts = uri.length > 2_048 || hasControl(uri) ? null : SHAPE.exec(uri);
  const host = parts?.[1]?.replace(/^\[|\]$/g, '');
  const port = parts?.[2] === undefined ? DEFAULT_PORT : Number(parts[2]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new BluelightError('INGEST_URI', 'the stream address of the camera is not a plain rtsp:// address', {
      fix: 'check the stream address in the camera settings; only rtsp:// is supported',
    });
  }
  const path = parts?.[3] ?? '/';
  return { host, port, path: encodePath(path.startsWith('/') ? path : `/${path}`) };
}

function hasControl(text: string): boolean {
  return [...text].some((letter) => letter < ' ' || letter === '\x7f');
}

/** Everything beyond the characters of RFC 3986 (minus the quote) is percent-encoded; what is encoded stays so. */
function encodePath(path: string): string {
  return path.replace(/[^A-Za-z0-9\-._~!$&()*+,;=:@/?%[\]]/gu, (letter) => encodeStrict(letter));
}

/** Percent-encodes all but letters, digits and `-._~`; also the marks that `encodeURIComponent` leaves. */
export function encodeStrict(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => {
    const letter = String.fromCharCode(byte);
    return /[A-Za-z0-9\-._~]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}

/** Without credentials. */
export function formatSource(url: SourceUrl): string {
  return `rtsp://${authority(url)}${url.path}`;
}

function authority(url: SourceUrl): string {
  return `${url.host.includes(':') ? `[${url.host}]` : url.host}:${url.port}`;
}

/** ffmpeg keeps user and password in a buffer of 128 bytes and cuts what is longer (libavformat/rtsp.c). */
const MAX_USER_INFO = 120;

/**
 * The script that ffmpeg reads from its stdin, so that the password stands neither in argv nor in a file.
 * Throws INGEST_CREDENTIALS if they cannot be passed on.
 */
export function ffconcatScript(
  url: SourceUrl,
  username: string,
  password: string,
  options: Record<string, string>,
): string {
  const user = username === '' ? '' : `${encodeStrict(username)}:${encodeStrict(password)}@`;
  if (user.length > MAX_USER_INFO || hasControl(username) || hasControl(password)) {
    throw new BluelightError('INGEST_CREDENTIALS', 'user name or password is too long for this camera connection', {
      fix: 'choose a password of at most 40 letters and digits on the camera',
    });
  }
  const lines = Object.entries(options).map(([key, value]) => `option ${key} ${value}`);
  return ['ffconcat version 1.0', `file 'rtsp://${user}${authority(url)}${url.path}'`, ...lines, ''].join('\n');
}
