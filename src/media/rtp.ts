import { readUint32, writeUint32 } from './nal.js';

/** The header of a packet, filled in place: a stream has hundreds of packets a second. Offsets are into the data given. */
export interface RtpPacket {
  payloadType: number;
  marker: boolean;
  sequence: number;
  timestamp: number;
  ssrc: number;
  payloadStart: number;
  payloadEnd: number;
}

export function emptyPacket(): RtpPacket {
  return { payloadType: 0, marker: false, sequence: 0, timestamp: 0, ssrc: 0, payloadStart: 0, payloadEnd: 0 };
}

/** Reads the header (RFC 3550 §5.1) of the packet at `data[start, end)`; false if it is none. */
export function parseRtp(data: Uint8Array, start: number, end: number, into: RtpPacket): boolean {
  if (end - start < 12 || end > data.length) return false;
  const first = data[start]!;
  const second = data[start + 1]!;
  if (first >> 6 !== 2) return false;
  let at = start + 12 + (first & 0x0f) * 4;
  if ((first & 0x10) !== 0) {
    if (at + 4 > end) return false;
    at += 4 + ((data[at + 2]! << 8) | data[at + 3]!) * 4;
  }
  let last = end;
  if ((first & 0x20) !== 0) {
    const padding = data[end - 1]!;
    if (padding === 0) return false;
    last -= padding;
  }
  if (at > last) return false;
  into.payloadType = second & 0x7f;
  into.marker = (second & 0x80) !== 0;
  into.sequence = (data[start + 2]! << 8) | data[start + 3]!;
  into.timestamp = readUint32(data, start + 4);
  into.ssrc = readUint32(data, start + 8);
  into.payloadStart = at;
  into.payloadEnd = last;
  return true;
}

/** A 32-bit clock that runs over, as a number that does not: ticks since the first one seen, negative if before it. */
export class TickCounter {
  #last: number | undefined;
  #ticks = 0;

  /** Counts from `timestamp` on; the distance to the last one is taken as less than half of the range. */
  at(timestamp: number): number {
    if (this.#last !== undefined) this.#ticks += (timestamp - this.#last) | 0;
    this.#last = timestamp;
    return this.#ticks;
  }

  /** Where a timestamp near the last one lies, without moving on. Undefined before the first. */
  peek(timestamp: number): number | undefined {
    return this.#last === undefined ? undefined : this.#ticks + ((timestamp - this.#last) | 0);
  }
}

/** What the order of a packet says. `lost` packets are missing before it; `late` ones came before or out of order. */
export type Arrival = { kind: 'in_order' } | { kind: 'lost'; packets: number } | { kind: 'late' };

const IN_ORDER: Arrival = { kind: 'in_order' };
const LATE: Arrival = { kind: 'late' };

/** Figures of RFC 3550 §6.4.1 and appendix A.3, A.8 about one source. */
export class Reception {
  readonly ssrc: number;
  #first: number;
  /** Highest sequence number, cycles included. */
  #highest: number;
  #received = 0;
  #reportedExpected = 0;
  #reportedReceived = 0;
  #jitter = 0;
  #transit: number | undefined;
  #report: { middle: number; atMs: number } | undefined;

  constructor(ssrc: number, sequence: number) {
    this.ssrc = ssrc;
    this.#first = sequence;
    this.#highest = sequence - 1;
  }

  /** Counts a packet. Of what is too far back to be late, a restart of the numbers is assumed: it counts as loss. */
  arrive(sequence: number): Arrival {
    const step = ((sequence - (this.#highest & 0xffff)) << 16) >> 16;
    this.#received++;
    if (step === 1) {
      this.#highest++;
      return IN_ORDER;
    }
    if (step <= 0 && step > -1_000) return LATE;
    const packets = (step & 0xffff) - 1;
    this.#highest += step & 0xffff;
    return { kind: 'lost', packets };
  }

  /** Interarrival jitter (A.8); both in ticks. Call it once a picture: only its first packet says when it was ready. */
  timing(arrivalTicks: number, timestamp: number): void {
    const transit = (arrivalTicks - timestamp) | 0;
    if (this.#transit !== undefined) {
      const distance = Math.min(Math.abs((transit - this.#transit) | 0), 0x7fff_ffff);
      this.#jitter += (distance - this.#jitter) / 16;
    }
    this.#transit = transit;
  }

  /** `middle`: the middle 32 bits of the NTP timestamp of a sender report. */
  heard(middle: number, atMs: number): void {
    this.#report = { middle, atMs };
  }

  /** Packets that never came. */
  get lost(): number {
    return Math.max(0, this.#highest - this.#first + 1 - this.#received);
  }

  /** The report block about what came since the last one (RFC 3550 §6.4.1). */
  block(nowMs: number): Uint8Array {
    const expected = this.#highest - this.#first + 1;
    const interval = expected - this.#reportedExpected;
    const missing = interval - (this.#received - this.#reportedReceived);
    this.#reportedExpected = expected;
    this.#reportedReceived = this.#received;
    const fraction = interval <= 0 || missing <= 0 ? 0 : Math.min(255, Math.floor((missing * 256) / interval));
    const out = new Uint8Array(24);
    writeUint32(out, 0, this.ssrc);
    writeUint32(out, 4, Math.min(this.lost, 0x7f_ffff));
    out[4] = fraction;
    writeUint32(out, 8, this.#highest >>> 0);
    writeUint32(out, 12, Math.floor(this.#jitter));
    writeUint32(out, 16, this.#report?.middle ?? 0);
    // Delay since that report, in 1/65536 s.
    const delay = this.#report === undefined ? 0 : Math.max(0, nowMs - this.#report.atMs) * 65.536;
    writeUint32(out, 20, Math.min(Math.round(delay), 0xffff_ffff));
    return out;
  }
}

/** What a sender says about its clock: `wallMs` of its clock is `timestamp` of its RTP clock. */
export interface SenderReport {
  ssrc: number;
  wallMs: number;
  timestamp: number;
  middle: number;
}

export interface Rtcp {
  report: SenderReport | undefined;
  /** The source says that it ends (BYE). */
  bye: boolean;
}

/** Seconds from 1900 (NTP) to 1970. */
const NTP_EPOCH_S = 2_208_988_800;

/** Reads a compound RTCP packet (RFC 3550 §6.1, §6.4.1); what is broken is passed over. */
export function parseRtcp(data: Uint8Array, start: number, end: number): Rtcp {
  let report: SenderReport | undefined;
  let bye = false;
  for (let at = start; at + 4 <= end && data[at]! >> 6 === 2;) {
    const size = 4 + ((data[at + 2]! << 8) | data[at + 3]!) * 4;
    if (at + size > end) break;
    const type = data[at + 1];
    if (type === 200 && size >= 28) report = readReport(data, at + 4) ?? report;
    if (type === 203) bye = true;
    at += size;
  }
  return { report, bye };
}

/** Undefined if the sender has no clock: it says 0 then (§6.4.1). */
function readReport(data: Uint8Array, at: number): SenderReport | undefined {
  const seconds = readUint32(data, at + 4);
  const fraction = readUint32(data, at + 8);
  if (seconds === 0) return undefined;
  // Era 1 begins in 2036 (RFC 4330 §3): a value with the top bit clear lies there.
  const since1900 = seconds < 0x8000_0000 ? seconds + 0x1_0000_0000 : seconds;
  return {
    ssrc: readUint32(data, at),
    wallMs: (since1900 - NTP_EPOCH_S) * 1_000 + (fraction * 1_000) / 0x1_0000_0000,
    timestamp: readUint32(data, at + 12),
    middle: (((seconds & 0xffff) << 16) | (fraction >>> 16)) >>> 0,
  };
}

/** A compound packet of receiver report and source description with CNAME (RFC 3550 §6.1 demands both). */
export function buildReceiverReport(ssrc: number, blocks: readonly Uint8Array[], cname: string): Uint8Array {
  const name = new TextEncoder().encode(cname).subarray(0, 255);
  const reportBytes = 8 + 24 * blocks.length;
  // The list of items ends with at least one zero, up to the next 32-bit boundary (§6.5).
  const chunkBytes = 4 + Math.ceil((2 + name.length + 1) / 4) * 4;
  const out = new Uint8Array(reportBytes + 4 + chunkBytes);
  out.set([0x80 | blocks.length, 201, 0, reportBytes / 4 - 1]);
  writeUint32(out, 4, ssrc);
  blocks.forEach((block, index) => out.set(block, 8 + 24 * index));
  out.set([0x81, 202, 0, chunkBytes / 4], reportBytes);
  writeUint32(out, reportBytes + 4, ssrc);
  out.set([1, name.length], reportBytes + 8);
  out.set(name, reportBytes + 10);
  return out;
}
