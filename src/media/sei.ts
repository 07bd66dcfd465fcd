import { H264, H265, nalType, sameBytes, splitNals } from './nal.js';
import type { Codec } from './stream.js';

/** `user_data_unregistered`, the SEI payload that carries a UUID and free bytes (H.264 D.1.7, H.265 D.2.7). */
const USER_DATA_UNREGISTERED = 5;

export interface UserData {
  /** 16 bytes */
  uuid: Uint8Array;
  bytes: Uint8Array;
}

/** A SEI NAL unit (H.264 type 6, H.265 prefix SEI type 39) with one user_data_unregistered message. */
export function buildUserDataSei(codec: Codec, userData: UserData): Uint8Array {
  const size = 16 + userData.bytes.length;
  const head = codec === 'h264' ? [H264.sei] : [H265.prefixSei << 1, 1];
  const body = [USER_DATA_UNREGISTERED];
  let rest = size;
  for (; rest >= 255; rest -= 255) body.push(255);
  body.push(rest);
  const rbsp = new Uint8Array(body.length + size + 1);
  rbsp.set(body);
  rbsp.set(userData.uuid.subarray(0, 16), body.length);
  rbsp.set(userData.bytes, body.length + 16);
  rbsp[rbsp.length - 1] = 0x80;
  const escaped = escapeRbsp(rbsp);
  const nal = new Uint8Array(head.length + escaped.length);
  nal.set(head);
  nal.set(escaped, head.length);
  return nal;
}

/** Every user_data_unregistered message of one SEI NAL unit; empty for any other unit or a broken one. */
export function readUserData(codec: Codec, nal: Uint8Array): UserData[] {
  const type = nalType(codec, nal);
  if (codec === 'h264' ? type !== H264.sei : type !== H265.prefixSei && type !== H265.prefixSei + 1) return [];
  const rbsp = unescapeRbsp(nal.subarray(codec === 'h264' ? 1 : 2));
  const found: UserData[] = [];
  let at = 0;
  // Messages repeat until only rbsp_trailing_bits (0x80) are left (H.264 7.3.2.3, H.265 7.3.2.4).
  while (at + 2 < rbsp.length) {
    const kind = readVarLength(rbsp, at);
    const size = readVarLength(rbsp, kind.next);
    const end = size.next + size.value;
    if (end > rbsp.length) break;
    if (kind.value === USER_DATA_UNREGISTERED && size.value >= 16) {
      found.push({ uuid: rbsp.subarray(size.next, size.next + 16), bytes: rbsp.subarray(size.next + 16, end) });
    }
    at = end;
  }
  return found;
}

/** Payload type and size are written as a run of 255 and a last byte (H.264 7.3.2.3.1). */
function readVarLength(rbsp: Uint8Array, from: number): { value: number; next: number } {
  let value = 0;
  let at = from;
  while (rbsp[at] === 255) {
    value += 255;
    at++;
  }
  return { value: value + (rbsp[at] ?? 0), next: at + 1 };
}

/** Puts emulation_prevention_three_byte in, so that no start code appears inside a unit (H.264 7.4.1). */
export function escapeRbsp(rbsp: Uint8Array): Uint8Array {
  const out: number[] = [];
  let zeros = 0;
  for (const byte of rbsp) {
    if (zeros === 2 && byte <= 3) {
      out.push(3);
      zeros = 0;
    }
    out.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return Uint8Array.from(out);
}

/** Takes emulation prevention bytes out. */
export function unescapeRbsp(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length);
  let length = 0;
  let zeros = 0;
  for (const byte of data) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    out[length++] = byte;
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return out.subarray(0, length);
}

/**
 * The stamp which the virtual camera puts into every access unit: whose picture it is and which.
 * It proves from end to end that no picture was lost, mixed up between cameras or altered.
 */
export interface FrameStamp {
  camera: string;
  /** Counts from 0 since the camera was started, uint32. */
  frame: number;
  /** Wall clock at capture, microseconds since 1970. */
  captureUs: bigint;
}

/** UUID of the frame stamp: 6b1d9a52-3c84-4e0f-9b27-b10e11647a3e. */
const STAMP_UUID = Uint8Array.from([
  0x6b, 0x1d, 0x9a, 0x52, 0x3c, 0x84, 0x4e, 0x0f, 0x9b, 0x27, 0xb1, 0x0e, 0x11, 0x64, 0x7a, 0x3e,
]);

/** After the UUID: captureUs as uint64, frame as uint32 (both big-endian), the camera in UTF-8. */
const STAMP_HEAD_BYTES = 12;

/** The SEI NAL unit of a stamp, to be put before the first slice of the access unit (after AUD and parameter sets). */
export function buildFrameStamp(codec: Codec, stamp: FrameStamp): Uint8Array {
  const name = new TextEncoder().encode(stamp.camera);
  const bytes = new Uint8Array(STAMP_HEAD_BYTES + name.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt.asUintN(64, stamp.captureUs));
  view.setUint32(8, stamp.frame >>> 0);
  bytes.set(name, STAMP_HEAD_BYTES);
  return buildUserDataSei(codec, { uuid: STAMP_UUID, bytes });
}

/** The stamp of an access unit (`AccessUnit.data`, length-prefixed NAL units), if it carries one. */
export function readFrameStamp(codec: Codec, data: Uint8Array): FrameStamp | undefined {
  for (const nal of splitNals(data)) {
    for (const message of readUserData(codec, nal)) {
      if (!sameBytes(message.uuid, STAMP_UUID) || message.bytes.length < STAMP_HEAD_BYTES) continue;
      const view = new DataView(message.bytes.buffer, message.bytes.byteOffset, message.bytes.length);
      return {
        camera: new TextDecoder().decode(message.bytes.subarray(STAMP_HEAD_BYTES)),
        frame: view.getUint32(8),
        captureUs: view.getBigUint64(0),
      };
    }
  }
  return undefined;
}
