import type { Codec } from '../../../src/media/stream.js';

export interface Packetising {
  codec?: Codec;
  mtu?: number;
  aggregate?: boolean;
  ornate?: boolean;
  sequence: number;
  timestamp: number;
  ssrc: number;
}

/** RTP packets of one access unit (RFC 6184, RFC 7798), as a camera makes them. */
export function packetise(nals: readonly Uint8Array[], how: Packetising): Uint8Array[] {
  const { codec = 'h264', mtu = 1_400 } = how;
  const payloads: Buffer[] = [];
  let small: Uint8Array[] = [];
  const flush = (): void => {
    if (small.length === 1) payloads.push(Buffer.from(small[0]!));
    if (small.length > 1) payloads.push(together(codec, small));
    small = [];
  };
  for (const nal of nals) {
    const size = small.reduce((sum, one) => sum + 2 + one.length, 2);
    if (how.aggregate !== true || size + 2 + nal.length > mtu) flush();
    if (nal.length > mtu) payloads.push(...apart(codec, nal, mtu));
    else small.push(nal);
    if (how.aggregate !== true) flush();
  }
  flush();
  return payloads.map((payload, index) => {
    const marker = index === payloads.length - 1;
    return Buffer.concat([head(how, how.sequence + index, marker), payload, how.ornate ? Buffer.from([0, 0, 3]) : Buffer.alloc(0)]); // prettier-ignore
  });
}

function head(how: Packetising, sequence: number, marker: boolean): Buffer {
  const out = Buffer.alloc(how.ornate ? 12 + 8 + 4 + 8 : 12);
  out[0] = how.ornate ? 0x80 | 0x20 | 0x10 | 2 : 0x80;
  out[1] = (marker ? 0x80 : 0) | 96;
  out.writeUInt16BE(sequence & 0xffff, 2);
  out.writeUInt32BE(how.timestamp, 4);
  out.writeUInt32BE(how.ssrc, 8);
  if (how.ornate) {
    out.writeUInt16BE(0xabac, 20);
    out.writeUInt16BE(2, 22);
  }
  return out;
}

function together(codec: Codec, nals: readonly Uint8Array[]): Buffer {
  const parts = nals.flatMap((nal) => [Buffer.from([nal.length >> 8, nal.length & 0xff]), nal]);
  return Buffer.concat([codec === 'h264' ? Buffer.from([24]) : Buffer.from([48 << 1, 1]), ...parts]);
}

function apart(codec: Codec, nal: Uint8Array, mtu: number): Buffer[] {
  const headBytes = codec === 'h264' ? 1 : 2;
  const out: Buffer[] = [];
  for (let at = headBytes; at < nal.length; at += mtu) {
    const end = Math.min(nal.length, at + mtu);
    const flags = (at === headBytes ? 0x80 : 0) | (end === nal.length ? 0x40 : 0);
    const fu =
      codec === 'h264'
        ? [(nal[0]! & 0xe0) | 28, flags | (nal[0]! & 0x1f)]
        : [(nal[0]! & 0x81) | (49 << 1), nal[1]!, flags | ((nal[0]! >> 1) & 0x3f)];
    out.push(Buffer.concat([Buffer.from(fu), nal.subarray(at, end)]));
  }
  return out;
}
