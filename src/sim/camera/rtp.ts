import { writeUint32 } from '../../media/nal.js';
import type { Codec } from '../../media/stream.js';

/** Payload bytes of a packet that fits an Ethernet frame with room for tunnels. */
const MAX_PAYLOAD = 1_400;
const RTP_HEADER = 12;
export const INTERLEAVED_HEADER = 4;
/** Fragmentation units: RFC 6184 §5.8, RFC 7798 §4.4.3. */
const FU_A = 28;
const FU_H265 = 49;
const VIDEO = 96;
/** G.711 µ-law (RFC 3551 table 4). */
const PCMU = 0;

export interface RtpState {
  ssrc: number;
  /** Of the next packet. */
  sequence: number;
  packets: number;
  octets: number;
}

/**
 * Packs an access unit for RTP (RFC 6184 §5.6 and §5.8, RFC 7798 §4.4), each packet behind the 4-byte header of
 * interleaved RTSP (RFC 2326 §10.12) with channel 0. Moves `state` on; the last packet carries the marker.
 */
export function packetise(codec: Codec, nals: readonly Uint8Array[], timestamp: number, state: RtpState): Buffer[] {
  const packets: Buffer[] = [];
  nals.forEach((nal, index) => {
    const lastNal = index === nals.length - 1;
    if (nal.length <= MAX_PAYLOAD) {
      packets.push(packet(VIDEO, nal, [], timestamp, lastNal, state));
      return;
    }
    const { head, headBytes, type } = fragmentHead(codec, nal);
    const room = MAX_PAYLOAD - head.length - 1;
    for (let at = headBytes; at < nal.length; at += room) {
      const part = nal.subarray(at, at + room);
      const end = at + part.length === nal.length;
      const header = (at === headBytes ? 0x80 : 0) | (end ? 0x40 : 0) | type;
      packets.push(packet(VIDEO, part, [...head, header], timestamp, lastNal && end, state));
    }
  });
  return packets;
}

function fragmentHead(codec: Codec, nal: Uint8Array): { head: number[]; headBytes: number; type: number } {
  if (codec === 'h264') return { head: [(nal[0]! & 0xe0) | FU_A], headBytes: 1, type: nal[0]! & 0x1f };
  return { head: [(nal[0]! & 0x81) | (FU_H265 << 1), nal[1]!], headBytes: 2, type: (nal[0]! >> 1) & 0x3f };
}

/** A packet of 8 kHz µ-law samples. */
export function audioPacket(samples: Uint8Array, timestamp: number, state: RtpState): Buffer {
  return packet(PCMU, samples, [], timestamp, false, state);
}

function packet(
  payloadType: number,
  payload: Uint8Array,
  before: readonly number[],
  timestamp: number,
  marker: boolean,
  state: RtpState,
): Buffer {
  const size = RTP_HEADER + before.length + payload.length;
  const out = Buffer.allocUnsafe(INTERLEAVED_HEADER + size);
  out[0] = 0x24;
  out[1] = 0;
  out.writeUInt16BE(size, 2);
  out[4] = 0x80;
  out[5] = (marker ? 0x80 : 0) | payloadType;
  out.writeUInt16BE(state.sequence, 6);
  writeUint32(out, 8, timestamp >>> 0);
  writeUint32(out, 12, state.ssrc);
  out.set(before, INTERLEAVED_HEADER + RTP_HEADER);
  out.set(payload, INTERLEAVED_HEADER + RTP_HEADER + before.length);
  state.sequence = (state.sequence + 1) & 0xffff;
  state.packets++;
  state.octets += before.length + payload.length;
  return out;
}

/** Overwrites what is behind the RTP header with noise. */
export function spoil(packets: readonly Buffer[], random: () => number): void {
  for (const one of packets) {
    for (let at = INTERLEAVED_HEADER + RTP_HEADER; at < one.length; at++) one[at] = Math.floor(random() * 256);
  }
}

/** Seconds from 1900 to 1970 (RFC 5905). */
const NTP_EPOCH = 2_208_988_800;

/** A sender report with an SDES CNAME (RFC 3550 §6.4.1, §6.5), interleaved on channel 1. */
export function senderReport(state: RtpState, wallMs: number, timestamp: number, name: string): Buffer {
  const cname = Buffer.from(name, 'utf8').subarray(0, 200);
  // SDES: header, SSRC, item type 1, length, text, at least one null, padded to 4 bytes.
  const sdesSize = 8 + Math.ceil((2 + cname.length + 1) / 4) * 4;
  const out = Buffer.alloc(INTERLEAVED_HEADER + 28 + sdesSize);
  out[0] = 0x24;
  out[1] = 1;
  out.writeUInt16BE(28 + sdesSize, 2);
  out[4] = 0x80;
  out[5] = 200;
  out.writeUInt16BE(6, 6);
  writeUint32(out, 8, state.ssrc);
  writeUint32(out, 12, Math.floor(wallMs / 1000) + NTP_EPOCH);
  writeUint32(out, 16, Math.floor(((wallMs % 1000) / 1000) * 4_294_967_296));
  writeUint32(out, 20, timestamp >>> 0);
  writeUint32(out, 24, state.packets);
  writeUint32(out, 28, state.octets);
  const sdes = INTERLEAVED_HEADER + 28;
  out[sdes] = 0x81;
  out[sdes + 1] = 202;
  out.writeUInt16BE(sdesSize / 4 - 1, sdes + 2);
  writeUint32(out, sdes + 4, state.ssrc);
  out[sdes + 8] = 1;
  out[sdes + 9] = cname.length;
  out.set(cname, sdes + 10);
  return out;
}

/** The same packets on another channel (RFC 2326 §10.12). */
export function onChannel(packets: readonly Buffer[], channel: number): Buffer[] {
  if (channel === 0) return [...packets];
  return packets.map((original) => {
    const copy = Buffer.from(original);
    copy[1] = (copy[1]! + channel) & 0xff;
    return copy;
  });
}
