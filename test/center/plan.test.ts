import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { expect, test } from 'vitest';
import { PacketMeter } from '../../src/center/packet-meter.js';
import { judgeAck, planReconnect, TAKEN_OVER } from '../../src/center/plan.js';
import type { Ack } from '../../src/contract/messages.js';

test('the waits rise as 1, 3, 6, 12, 24, 30 s and are spread over the upper half', () => {
  const full = [1, 2, 3, 4, 5, 6, 7, 50].map((failures) => planReconnect(failures, undefined, () => 1));
  expect(full).toEqual([1_000, 3_000, 6_000, 12_000, 24_000, 30_000, 30_000, 30_000]);
  expect(planReconnect(4, undefined, () => 0)).toBe(6_000);
});

test('a refusal of the identity is not hurried, two boxes with one identity even less', () => {
  expect(planReconnect(1, 0x87, () => 1)).toBe(10_000);
  expect(planReconnect(9, 0x87, () => 1)).toBe(300_000);
  expect(planReconnect(1, TAKEN_OVER, () => 1)).toBe(30_000);
});

const ack: Ack = { schema: 1, box: 'box-1', ts: '2026-01-01T00:00:00.000Z', streams: { north: 9 }, heartbeat: 'n1' };
const beats = [{ nonce: 'n1', wallMs: 5, monoMs: 5 }];

test('an acknowledgement counts for what was sent and for our own heartbeat only', () => {
  const sent = new Map([['north', 7]]);
  expect(judgeAck(ack, 'box-1', beats, sent)).toEqual({ ok: true, streams: { north: 7 }, beat: beats[0] });
  expect(judgeAck(ack, 'box-1', beats, new Map())).toMatchObject({ ok: true, streams: {} });
  expect(judgeAck({ ...ack, heartbeat: 'older' }, 'box-1', beats, sent)).toMatchObject({
    ok: false,
    code: 'STALE_ACK',
  });
  expect(judgeAck({ ...ack, heartbeat: null }, 'box-1', beats, sent)).toMatchObject({ ok: false });
  expect(judgeAck(ack, 'box-2', beats, sent)).toMatchObject({ ok: false, code: 'WRONG_BOX' });
});

test('packets up to the limit pass in whatever pieces they come; a longer one is told at its header', () => {
  const packet = (bytes: number): Buffer =>
    mqttPacket.generate({
      cmd: 'publish',
      topic: 't',
      payload: Buffer.alloc(bytes),
      qos: 0,
      retain: false,
      dup: false,
    });
  fc.assert(
    fc.property(fc.array(fc.nat(3_000), { maxLength: 6 }), fc.integer({ min: 1, max: 700 }), (sizes, piece) => {
      const meter = new PacketMeter(4_096);
      const stream = Buffer.concat(sizes.map(packet));
      for (let at = 0; at < stream.length; at += piece) expect(meter.take(stream.subarray(at, at + piece))).toBe(true);
      expect(meter.take(packet(5_000).subarray(0, 5))).toBe(false);
    }),
    { seed: 3, numRuns: 100 },
  );
  expect(new PacketMeter(4_096).take(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff]))).toBe(false);
});
