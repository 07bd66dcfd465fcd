import { writeUint32 } from '../../media/nal.js';

/** Payload bytes of a packet that fits an Ethernet frame with room for tunnels. */
const MAX_PAYLOAD = 1_400;
const RTP_HEADER = 12;
const INTERLEAVED_HEADER = 4;
const FU_A = 28;
const PAYLOAD_TYPE = 96;

export interface RtpState {
  ssrc: number;
  /** Of the next packet. */
  sequence: number;
  packets: number;
  octets: number;
}

/**
 * Packs an access unit for RTP (RFC 6184 §5.6 single NAL unit, §5.8 FU-A), each packet behind the 4-byte header of
 * interleaved RTSP (RFC 2326 §10.12) with channel 0. Moves `state` on; the last packet carries the marker.
 */
export function packetise(nals: readonly Uint8Array[], timestamp: number, state: RtpState): Buffer[] {
  const packets: Buffer[] = [];
  nals.forEach((nal, index) => {
    const lastNal = index === nals.length - 1;
    if (nal.length <= MAX_PAYLOAD) {
      packets.push(packet(nal, undefined, timestamp, lastNal, state));
      return;
    }
    const indicator = (nal[0]! & 0xe0) | FU_A;
    const type = nal[0]! & 0x1f;
    for (let at = 1; at < nal.length; at += MAX_PAYLOAD - 2) {
      const part = nal.subarray(at, at + MAX_PAYLOAD - 2);
      const end = at + part.length === nal.length;
      const header = (at === 1 ? 0x80 : 0) | (end ? 0x40 : 0) | type;
      packets.push(packet(part, [indicator, header], timestamp, lastNal && end, state));
    }
  });
  return packets;
}

function packet(
  payload: Uint8Array,
  fragment: [number, number] | undefined,
  timestamp: number,
  marker: boolean,
  state: RtpState,
): Buffer {
  const extra = fragment === undefined ? 0 : 2;
  const size = RTP_HEADER + extra + payload.length;
  const out = Buffer.allocUnsafe(INTERLEAVED_HEADER + size);
  out[0] = 0x24;
  out[1] = 0;
  out.writeUInt16BE(size, 2);
  out[4] = 0x80;
  out[5] = (marker ? 0x80 : 0) | PAYLOAD_TYPE;
  out.writeUInt16BE(state.sequence, 6);
  writeUint32(out, 8, timestamp >>> 0);
  writeUint32(out, 12, state.ssrc);
  if (fragment !== undefined) out.set(fragment, INTERLEAVED_HEADER + RTP_HEADER);
  out.set(payload, INTERLEAVED_HEADER + RTP_HEADER + extra);
  state.sequence = (state.sequence + 1) & 0xffff;
  state.packets++;
  state.octets += extra + payload.length;
  return out;
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

/** The same packets for a client that asked for another channel (RFC 2326 §10.12). */
export function onChannel(packets: readonly Buffer[], channel: number): Buffer[] {
  if (channel === 0) return [...packets];
  return packets.map((original) => {
    const copy = Buffer.from(original);
    copy[1] = (copy[1]! + channel) & 0xff;
    return copy;
  });
}
