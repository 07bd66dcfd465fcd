import { BluelightError } from '../base/errors.js';
import { nalType } from './nal.js';
import type { Codec } from './stream.js';

/** One payload format of a media section: `a=rtpmap` and `a=fmtp` put together. */
export interface SdpFormat {
  payloadType: number;
  /** Upper case: `H264`, `H265`, `JPEG`, `PCMU`. Empty if a dynamic payload type has no `rtpmap`. */
  encoding: string;
  clockRate: number;
  /** Keys in lower case. */
  parameters: ReadonlyMap<string, string>;
}

export interface SdpMedia {
  /** `video`, `audio`, `application`. */
  kind: string;
  control: string | undefined;
  formats: SdpFormat[];
}

/** What of a session description (RFC 8866) a receiver of one track needs. */
export interface Sdp {
  control: string | undefined;
  media: SdpMedia[];
}

/** No camera describes more; what does is hostile. */
const MAX_LINES = 2_000;
const MAX_MEDIA = 32;
const MAX_FORMATS = 64;

/** Payload types with a fixed meaning (RFC 3551 §6) that a camera may use without `rtpmap`. */
const STATIC_TYPES: Readonly<Record<number, readonly [string, number]>> = {
  0: ['PCMU', 8_000],
  8: ['PCMA', 8_000],
  26: ['JPEG', 90_000],
  32: ['MPV', 90_000],
};

interface Section {
  kind: string;
  control: string | undefined;
  types: number[];
  maps: Map<number, readonly [string, number]>;
  parameters: Map<number, Map<string, string>>;
}

/** Reads a session description. Lines that are unknown or broken are skipped; throws SDP_INVALID if it is none at all. */
export function parseSdp(text: string): Sdp {
  const lines = text.split(/\r\n|\n|\r/, MAX_LINES);
  if (!lines.some((line) => line.startsWith('v=') || line.startsWith('m='))) {
    throw new BluelightError('SDP_INVALID', 'the camera describes its stream in no readable way', { retryable: true });
  }
  let control: string | undefined;
  const sections: Section[] = [];
  for (const line of lines) {
    const section = sections.at(-1);
    if (line.startsWith('m=')) {
      if (sections.length === MAX_MEDIA) break;
      sections.push(openSection(line));
    } else if (line.startsWith('a=')) {
      const colon = line.indexOf(':');
      const name = (colon === -1 ? line.slice(2) : line.slice(2, colon)).trim().toLowerCase();
      const value = colon === -1 ? '' : line.slice(colon + 1).trim();
      if (section !== undefined) readAttribute(section, name, value);
      else if (name === 'control') control = value;
    }
  }
  return { control, media: sections.map(closeSection) };
}

/** `m=video 0 RTP/AVP 96 97` */
function openSection(line: string): Section {
  const [kind = '', , , ...types] = line.slice(2).trim().split(/\s+/);
  return {
    kind: kind.toLowerCase(),
    control: undefined,
    types: types.slice(0, MAX_FORMATS).map(Number).filter(isPayloadType),
    maps: new Map(),
    parameters: new Map(),
  };
}

function isPayloadType(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 127;
}

function readAttribute(section: Section, name: string, value: string): void {
  if (name === 'control') section.control = value;
  if (name === 'rtpmap') {
    const match = /^(\d{1,3})\s+([^/\s]+)(?:\/(\d{1,9}))?/.exec(value);
    if (match !== null) section.maps.set(Number(match[1]), [match[2]!.toUpperCase(), Number(match[3] ?? 90_000)]);
  }
  if (name === 'fmtp') {
    const match = /^(\d{1,3})\s+(.*)$/.exec(value);
    if (match !== null) section.parameters.set(Number(match[1]), readParameters(match[2]!));
  }
}

/** `packetization-mode=1; sprop-parameter-sets=Z0IA...,aM4...`: base64 may end in `=`, so only the first `=` divides. */
function readParameters(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of text.split(';')) {
    const equals = part.indexOf('=');
    const key = (equals === -1 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (key !== '') found.set(key, equals === -1 ? '' : part.slice(equals + 1).trim());
  }
  return found;
}

function closeSection(section: Section): SdpMedia {
  const formats = section.types.map((payloadType) => {
    const [encoding, clockRate] = section.maps.get(payloadType) ?? STATIC_TYPES[payloadType] ?? ['', 90_000];
    return { payloadType, encoding, clockRate, parameters: section.parameters.get(payloadType) ?? new Map() };
  });
  return { kind: section.kind, control: section.control, formats };
}

/** The track to be recorded. */
export interface VideoTrack {
  codec: Codec;
  payloadType: number;
  control: string | undefined;
  /** From `sprop-*`; empty if the camera sends its parameter sets in the stream only. */
  parameterSets: Uint8Array[];
}

/** Kinds of video that can be nothing that we record, whoever reads them (RTP payload format names, IANA). */
const OTHER_VIDEO = /^(JPEG\d*|MPV|MPEG4-VISUAL|MP4V-ES|H261|H263(-\d+)?|VP[89]|AV1|RAW|THEORA|DV|JPEG2000|JPEG-?XS)$/;

/**
 * The first H.264 or H.265 track. Throws what names what the camera has instead: STREAM_CODEC if that cannot be recorded
 * at all, STREAM_UNSUPPORTED if others may make something of it.
 */
export function videoTrack(sdp: Sdp): VideoTrack {
  const videos = sdp.media.filter((one) => one.kind === 'video');
  for (const media of videos) {
    for (const format of media.formats) {
      const codec = codecOf(format.encoding);
      if (codec === undefined) continue;
      refuseInterleaving(codec, format.parameters);
      const { payloadType, parameters } = format;
      return { codec, payloadType, control: media.control, parameterSets: spropSets(codec, parameters) };
    }
  }
  const names = videos.flatMap((one) => one.formats.map((format) => format.encoding || String(format.payloadType)));
  if (names.length === 0) throw unsupported('the camera offers no video');
  const other = names.every((name) => OTHER_VIDEO.test(name));
  throw unsupported(`the camera sends ${names.join(', ')}`, other ? 'STREAM_CODEC' : 'STREAM_UNSUPPORTED');
}

function codecOf(encoding: string): Codec | undefined {
  if (encoding === 'H264') return 'h264';
  return encoding === 'H265' || encoding === 'HEVC' ? 'h265' : undefined;
}

/** Decoding order other than transmission order: RFC 6184 packetization mode 2, RFC 7798 §7.1 sprop-max-don-diff. */
function refuseInterleaving(codec: Codec, parameters: ReadonlyMap<string, string>): void {
  const interleaved =
    codec === 'h264'
      ? parameters.get('packetization-mode') === '2'
      : Number(parameters.get('sprop-max-don-diff') ?? 0) > 0;
  if (interleaved) throw unsupported('the camera sends its pictures interleaved');
}

function unsupported(message: string, code = 'STREAM_UNSUPPORTED'): BluelightError {
  return new BluelightError(code, message, {
    fix: 'set this stream to H.264 or H.265 on the camera itself',
  });
}

/** RFC 6184 §8.1 sprop-parameter-sets; RFC 7798 §7.1 sprop-vps, -sps, -pps: comma-separated base64. */
function spropSets(codec: Codec, parameters: ReadonlyMap<string, string>): Uint8Array[] {
  const keys = codec === 'h264' ? ['sprop-parameter-sets'] : ['sprop-vps', 'sprop-sps', 'sprop-pps'];
  const wanted = codec === 'h264' ? [7, 8] : [32, 33, 34];
  return keys
    .flatMap((key) => (parameters.get(key) ?? '').split(','))
    .map((text) => new Uint8Array(Buffer.from(text.trim(), 'base64')))
    .filter((set) => set.length > 2 && wanted.includes(nalType(codec, set)));
}
