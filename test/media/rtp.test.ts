import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Depacketizer } from '../../src/media/depacketize.js';
import { joinNals } from '../../src/media/nal.js';
import { buildReceiverReport, emptyPacket, parseRtcp, parseRtp, Reception, TickCounter } from '../../src/media/rtp.js';
import type { Codec } from '../../src/media/stream.js';
import { packetise } from '../ingest/native/packetise.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1e9);
console.log(`rtp.test seed ${SEED}`);
const runs = (numRuns: number) => ({ seed: SEED, numRuns });

/** A NAL unit with a head of that type; its body cannot contain a start code. */
function nal(codec: Codec, type: number, body: Uint8Array, firstSlice = true): Uint8Array {
  const safe = body.map((byte) => (byte === 0 ? 0xff : byte));
  if (safe.length > 0) safe[0] = firstSlice ? safe[0]! | 0x80 : safe[0]! & 0x7f || 1;
  const head = codec === 'h264' ? [0x60 | type] : [type << 1, 1];
  return Uint8Array.from([...head, ...safe]);
}

interface Received {
  pictures: { data: Uint8Array; timestamp: number }[];
  damaged: number;
}

/** Gives packets to a depacketizer as a receiver does. */
function receive(codec: Codec, packets: readonly Uint8Array[], maxBytes = 1e6): Received {
  const received: Received = { pictures: [], damaged: 0 };
  const depacketizer = new Depacketizer(
    codec,
    {
      picture: (data, timestamp) => received.pictures.push({ data: data.slice(), timestamp }),
      damaged: () => received.damaged++,
    },
    maxBytes,
  );
  const packet = emptyPacket();
  let reception: Reception | undefined;
  // Packets lie in one reused buffer, as the kernel leaves them.
  const buffer = new Uint8Array(70_000);
  for (const one of packets) {
    buffer.set(one, 7);
    if (!parseRtp(buffer, 7, 7 + one.length, packet)) throw new Error('no RTP packet');
    reception ??= new Reception(packet.ssrc, packet.sequence);
    const arrival = reception.arrive(packet.sequence);
    if (arrival.kind === 'late') continue;
    if (arrival.kind === 'lost') depacketizer.gap('lost');
    depacketizer.packet(buffer, packet.payloadStart, packet.payloadEnd, packet.timestamp, packet.marker);
    buffer.fill(0xee);
  }
  return received;
}

const body = (max: number) => fc.uint8Array({ minLength: 2, maxLength: max });

/** Pictures of a random stream: prefix units, then one to three slices; every eighth is a key picture. */
const stream = (codec: Codec) =>
  fc
    .array(
      fc.record({ aud: fc.boolean(), sei: body(60), slices: fc.array(body(6_000), { minLength: 1, maxLength: 3 }) }),
      {
        minLength: 2,
        maxLength: 12,
      },
    )
    .map((pictures) =>
      pictures.map(({ aud, sei, slices }, index) => {
        const key = index % 8 === 0;
        const [audType, sets, seiType] = codec === 'h264' ? [9, [7, 8], 6] : [35, [32, 33, 34], 39];
        const sliceType = codec === 'h264' ? (key ? 5 : 1) : key ? 19 : 1;
        return [
          ...(aud ? [nal(codec, audType, Uint8Array.of(0xf0))] : []),
          ...(key ? sets.map((type) => nal(codec, type, Uint8Array.from([1, 2, 3, type]))) : []),
          nal(codec, seiType, sei),
          ...slices.map((slice, at) => nal(codec, sliceType, slice, at === 0)),
        ];
      }),
    );

const packing = fc.record({
  mtu: fc.integer({ min: 40, max: 1_500 }),
  aggregate: fc.boolean(),
  ornate: fc.boolean(),
  sequence: fc.integer({ min: 65_000, max: 65_535 }),
});

test.for(['h264', 'h265'] as const)('%s: what was packed in any way comes out byte for byte', (codec) => {
  fc.assert(
    fc.property(stream(codec), packing, (pictures, how) => {
      let sequence = how.sequence;
      const packets = pictures.flatMap((nals, index) => {
        const made = packetise(nals, {
          ...how,
          codec,
          sequence,
          timestamp: (0xffff_f000 + index * 3_000) >>> 0,
          ssrc: 7,
        });
        sequence += made.length;
        return made;
      });
      const { pictures: got, damaged } = receive(codec, packets);
      expect(damaged).toBe(0);
      expect(got.map((one) => Buffer.from(one.data).toString('hex'))).toEqual(
        pictures.map((nals) => Buffer.from(joinNals(nals)).toString('hex')),
      );
      expect(got.map((one) => one.timestamp)).toEqual(pictures.map((_, i) => (0xffff_f000 + i * 3_000) >>> 0));
    }),
    runs(150),
  );
});

test.for(['h264', 'h265'] as const)(
  '%s: with packets dropped, doubled or swapped no picture is ever wrong',
  (codec) => {
    const faults = fc.array(fc.tuple(fc.nat(400), fc.constantFrom('drop', 'double', 'swap')), { maxLength: 4 });
    fc.assert(
      fc.property(stream(codec), packing, faults, (pictures, how, list) => {
        let sequence = how.sequence;
        const packets = pictures.flatMap((nals, index) => {
          const made = packetise(nals, { ...how, codec, sequence, timestamp: index * 3_000, ssrc: 7 });
          sequence += made.length;
          return made;
        });
        for (const [place, fault] of list) {
          const at = place % packets.length;
          if (fault === 'drop') packets.splice(at, 1);
          else if (fault === 'double') packets.splice(at, 0, packets[at]!);
          else packets.splice(at, 2, ...packets.slice(at, at + 2).reverse());
          if (packets.length === 0) return;
        }
        const whole = new Set(pictures.map((nals) => Buffer.from(joinNals(nals)).toString('hex')));
        const { pictures: got, damaged } = receive(codec, packets);
        // The first packets may be missing without anybody knowing; then the first picture may lack its prefix.
        for (const one of got.slice(1)) expect(whole.has(Buffer.from(one.data).toString('hex'))).toBe(true);
        // What is missing between two pictures that came was noticed; before the first and after the last nobody can.
        const jumps = got.slice(1).some((one, index) => one.timestamp - got[index]!.timestamp !== 3_000);
        if (jumps) expect(damaged).toBeGreaterThan(0);
      }),
      runs(300),
    );
  },
);

test('a picture ends where the timestamp changes if the camera sets no marker', () => {
  const make = (index: number): Uint8Array[] =>
    packetise([nal('h264', 5, new Uint8Array(3_000).fill(9))], {
      sequence: index * 3,
      timestamp: index * 3_000,
      ssrc: 1,
    });
  const packets = [0, 1, 2].flatMap(make);
  for (const packet of packets) packet[1]! &= 0x7f;
  expect(receive('h264', packets).pictures.map((one) => one.timestamp)).toEqual([0, 3_000]);
});

test('a camera that marks every slice loses one picture, then none', () => {
  const slices = [nal('h264', 5, Uint8Array.of(1, 2, 3)), nal('h264', 5, Uint8Array.of(4, 5, 6), false)];
  const packets = [0, 1, 2, 3].flatMap((i) => packetise(slices, { sequence: i * 2, timestamp: i * 3_000, ssrc: 1 }));
  for (const packet of packets) packet[1]! |= 0x80;
  const { pictures, damaged } = receive('h264', packets);
  expect(damaged).toBe(1);
  expect(pictures.slice(1).map((one) => Buffer.from(one.data))).toEqual(
    [1, 2].map(() => Buffer.from(joinNals(slices))),
  );
});

test('units that a camera glued with start codes into one packet are taken apart', () => {
  const units = [
    nal('h264', 7, Uint8Array.of(1, 2, 3)),
    nal('h264', 8, Uint8Array.of(4, 5)),
    nal('h264', 5, new Uint8Array(4_000).fill(7)),
  ];
  const glued = Buffer.concat([units[0]!, Buffer.from([0, 0, 0, 1]), units[1]!, Buffer.from([0, 0, 1]), units[2]!]);
  const packets = packetise([glued], { sequence: 0, timestamp: 0, ssrc: 1 });
  expect(receive('h264', packets).pictures.map((one) => Buffer.from(one.data))).toEqual([Buffer.from(joinNals(units))]);
});

test('a picture beyond the limit is dropped, the next one is not', () => {
  const large = packetise([nal('h264', 5, new Uint8Array(50_000).fill(7))], { sequence: 0, timestamp: 0, ssrc: 1 });
  const small = packetise([nal('h264', 1, Uint8Array.of(1, 2))], { sequence: large.length, timestamp: 9, ssrc: 1 });
  const { pictures, damaged } = receive('h264', [...large, ...small], 20_000);
  expect({ damaged, timestamps: pictures.map((one) => one.timestamp) }).toEqual({ damaged: 1, timestamps: [9] });
});

test('timestamps run on over the end of 32 bits, forwards and back', () => {
  const counter = new TickCounter();
  const stamps = [0xffff_ff00, 0x00, 0xffff_ff80, 0x100];
  expect(stamps.map((one) => counter.at(one))).toEqual([0, 256, 128, 512]);
});

test('the receiver report says what RFC 3550 A.3 counts', () => {
  const reception = new Reception(0xabcd, 65_530);
  for (let i = 0; i < 100; i++) if (i % 10 !== 5) reception.arrive((65_530 + i) & 0xffff);
  expect(reception.lost).toBe(10);
  reception.heard(0x1111_2222, 1_000);
  const packet = Buffer.from(buildReceiverReport(0x99, [reception.block(1_500)], 'cam'));
  expect(packet.length % 4).toBe(0);
  expect([packet[0], packet[1], packet.readUInt16BE(2)]).toEqual([0x81, 201, 7]);
  expect(packet.readUInt32BE(8)).toBe(0xabcd);
  expect(packet[12]).toBe(Math.floor((10 * 256) / 100));
  expect(packet.readUInt32BE(12) & 0xff_ffff).toBe(10);
  expect(packet.readUInt32BE(16)).toBe(65_530 + 99);
  expect(packet.readUInt32BE(24)).toBe(0x1111_2222);
  expect(packet.readUInt32BE(28)).toBe(32_768);
  // Source description: one chunk, CNAME.
  expect([packet[32], packet[33], packet.readUInt16BE(34)]).toEqual([0x81, 202, (packet.length - 36) / 4]);
  expect(packet.subarray(40, 45)).toEqual(Buffer.from([1, 3, ...Buffer.from('cam')]));
});

test('a sender report gives the time of the camera, also after 2036', () => {
  const report = Buffer.alloc(28);
  report.set([0x80, 200, 0, 6]);
  report.writeUInt32BE(5, 4);
  report.writeUInt32BE(Date.UTC(2026, 0, 1) / 1000 + 2_208_988_800, 8);
  report.writeUInt32BE(0x8000_0000, 12);
  report.writeUInt32BE(77, 16);
  expect(parseRtcp(report, 0, 28).report).toMatchObject({ ssrc: 5, wallMs: Date.UTC(2026, 0, 1) + 500, timestamp: 77 });
  report.writeUInt32BE((Date.UTC(2040, 0, 1) / 1000 + 2_208_988_800) % 2 ** 32, 8);
  expect(parseRtcp(report, 0, 28).report?.wallMs).toBe(Date.UTC(2040, 0, 1) + 500);
  const bye = Buffer.from([0x81, 203, 0, 1, 0, 0, 0, 5]);
  expect(parseRtcp(Buffer.concat([report, bye]), 0, 36)).toMatchObject({ bye: true });
  report.writeUInt32BE(0, 8);
  expect(parseRtcp(report, 0, 28).report).toBeUndefined();
});

test('any bytes as packets: nothing is thrown, nothing is read beyond the end', () => {
  const packets = fc.array(
    fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 14, maxLength: 60 }).map(plausible)),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(packets, fc.constantFrom<Codec>('h264', 'h265'), (list, codec) => {
      const packet = emptyPacket();
      let total = 0;
      const sink = { picture: (data: Uint8Array) => void (total += data.length), damaged: () => undefined };
      const depacketizer = new Depacketizer(codec, sink, 5_000);
      for (const one of list) {
        parseRtcp(one, 0, one.length);
        if (!parseRtp(one, 0, one.length, packet)) continue;
        expect(packet.payloadStart).toBeLessThanOrEqual(packet.payloadEnd);
        expect(packet.payloadEnd).toBeLessThanOrEqual(one.length);
        depacketizer.packet(one, packet.payloadStart, packet.payloadEnd, packet.timestamp, packet.marker);
      }
      expect(total).toBeLessThan(100 * 5_000);
    }),
    runs(3_000),
  );
});

/** A packet of the same picture as the others. */
function plausible(bytes: Uint8Array): Uint8Array {
  bytes[0] = 0x80;
  bytes.set([0, 0, 0, 1], 4);
  return bytes;
}
