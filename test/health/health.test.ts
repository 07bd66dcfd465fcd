import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { FakeClock } from '../../src/base/fake-clock.js';
import { silentLog } from '../../src/base/log.js';
import { heartbeatMessage } from '../../src/contract/messages.js';
import { clockFacts, readClock } from '../../src/health/clock.js';
import { Host } from '../../src/health/host.js';
import type { HostSource } from '../../src/health/host-source.js';
import { assembleHeartbeat, assembleStatus, type BoxReading } from '../../src/health/status.js';

test('memory agrees with /proc/meminfo, and the machine is named', async () => {
  const host = new Host(systemClock(), silentLog);
  await host.start();
  const meminfo = readFileSync('/proc/meminfo', 'utf8');
  const kb = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(meminfo)![1]);
  expect(Math.abs(host.reading.mem! - (1 - kb('MemAvailable') / kb('MemTotal')) * 100)).toBeLessThan(5);
  expect(host.reading.cpu).toBeGreaterThanOrEqual(0);
  const machine = execFileSync('uname', ['-m']).toString().trim();
  expect(host.facts.os).toContain(machine === 'x86_64' ? 'x64' : 'arm');
  host.stop();
});

test('a host that does not answer costs neither the start nor a pile of questions', async () => {
  const clock = new FakeClock();
  let asked = 0;
  const never = (): Promise<never> => {
    asked++;
    return new Promise(() => undefined);
  };
  const source: HostSource = { system: never, osInfo: never, currentLoad: never, mem: never, cpuTemperature: never };
  const host = new Host(clock, silentLog, source);
  const started = host.start();
  await clock.advance(20_000);
  await started;
  await clock.advance(60_000);
  expect(host.reading).toEqual({ cpu: null, mem: null, temp: null });
  expect(asked).toBe(5);
  host.stop();
});

const stream = {
  stream: 'north.main',
  camera: 'north',
  role: 'main' as const,
  state: 'recording' as const,
  detail: '',
  engine: 'native' as const,
  width: 1920,
  height: 1080,
  fps: 14.98,
  bitrate: 1,
};

const reading: BoxReading = {
  nowMs: 1_800_000_000_000,
  uptimeS: 61,
  keyId: 'A'.repeat(43),
  site: 'main-st',
  box: 'box-1',
  agent: '0.1.0',
  claimed: true,
  claim: null,
  streams: [stream],
  disk: {
    state: 'ok',
    problem: null,
    usedBytes: 25,
    quotaBytes: 100,
    freeBytes: 1,
    floorShare: 1,
    evicting: 'possible',
    damagedSegments: 0,
    forecast: [{ camera: 'north', days: 9, originalsDays: 7, legalDays: null }],
    streams: [
      {
        stream: 'north.main',
        committedAgeMs: 740,
        oldestMs: 1_799_000_000_000,
        gapSeconds24h: 12.4,
        openGap: null,
      },
    ],
  },
  state: { silentMs: 0, problem: null },
  clock: { source: 'ntp', offsetMs: 2, trusted: true },
  center: { id: 'virtual', state: 'acknowledged', ackAtMs: 1, detail: '' },
  queue: { clips: 1, bytes: 10, outbox: 2 },
  host: { cpu: 3, mem: 20, temp: null },
  policy: { hash: 'abc', problem: null },
  promiseDays: 7,
  alarms: [],
  cameraClocks: new Map([['north', -1200]]),
};

test('the heartbeat keeps to the contract and takes the age of the footage from the disk', () => {
  const beat = heartbeatMessage.parse(assembleHeartbeat(reading, { seq: 4, nonce: 'n', outbox: 3 }));
  expect(beat).toMatchObject({ seq: 4, uptime: 61, disk: { used: 25, days: 9 }, queue: { outbox: 3 } });
  expect(beat.cams).toEqual([
    {
      id: 'north',
      state: 'recording',
      fps: 15,
      age: 0.7,
      gap: 12,
      oldest: '2027-01-03T18:13:20.000Z',
      days: 9,
      clock: -1200,
    },
  ]);
});

test('pictures that do not reach the disk are not called recording', () => {
  const disk = { ...reading.disk!, streams: [{ ...reading.disk!.streams[0]!, committedAgeMs: 16_000 }] };
  const beat = assembleHeartbeat({ ...reading, disk }, { seq: 1, nonce: 'n', outbox: 0 });
  expect(beat.cams[0]).toMatchObject({ state: 'stalled', age: 16 });
  expect(assembleStatus({ ...reading, disk })).toMatchObject({
    state: 'problem',
    problems: [{ code: 'STREAM_STALLED', camera: 'north' }],
  });
});

test('with four cameras a heartbeat stays below 1.1 kB', () => {
  const ids = ['jx-0042-n', 'jx-0042-e', 'jx-0042-s', 'jx-0042-w'];
  const streams = ids.map((id) => ({ ...stream, stream: `${id}.main`, camera: id }));
  const disk = {
    ...reading.disk!,
    usedBytes: 1_800_123_456_789,
    quotaBytes: 2_000_000_000_000,
    streams: ids.map((id) => ({ ...reading.disk!.streams[0]!, stream: `${id}.main` })),
  };
  const policy = { hash: 'a'.repeat(64), problem: null };
  const beat = assembleHeartbeat(
    { ...reading, streams, disk, policy },
    { seq: 90_000, nonce: 'A'.repeat(16), outbox: 0 },
  );
  expect(JSON.stringify(beat).length).toBeLessThan(1_100);
});

test.each([
  ['a time service', { synchronised: true, center: null }, { source: 'ntp', trusted: true }],
  ['the center', { synchronised: false, center: { offsetMs: 300, agoMs: 1_000 } }, { source: 'center', trusted: true }],
  [
    'a center that disagrees',
    { synchronised: false, center: { offsetMs: 90_000, agoMs: 1 } },
    { source: 'rtc', trusted: false },
  ],
  [
    'a time service that the center contradicts',
    { synchronised: true, center: { offsetMs: -86_400_000, agoMs: 1 } },
    { source: 'rtc', trusted: false },
  ],
  ['nobody', { synchronised: false, center: null }, { source: 'rtc', trusted: false }],
])('the clock is vouched for by %s', (_who, witness, expected) => {
  expect(readClock({ nowMs: Date.UTC(2027, 0, 1), ...witness })).toMatchObject(expected);
});

test('a box that started in 1970 does not know the time', () => {
  expect(readClock({ nowMs: 1_000, synchronised: false, center: null })).toMatchObject({
    source: 'none',
    trusted: false,
  });
});

test('a clock that cannot be trusted is an alarm, at once when the center says otherwise', () => {
  const at = (nowMs: number, offsetMs: number | null): unknown[] => {
    const center = offsetMs === null ? null : { offsetMs, agoMs: 1_000 };
    return clockFacts(readClock({ nowMs, synchronised: false, center })).map((f) => [
      f.kind,
      f.message,
      f.raiseAfterMs,
    ]);
  };
  const now = Date.UTC(2027, 0, 1);
  expect(at(now, 200)).toEqual([]);
  expect(at(5_000, null)).toEqual([['clock.unknown', 'the box does not know the time', 0]]);
  expect(at(now, null)).toEqual([['clock.untrusted', 'nobody vouches for the clock of the box', 60_000]]);
  expect(at(now, 86_400_000)).toEqual([
    ['clock.untrusted', 'the clock of the box is 86400 s ahead of that of the center', 0],
  ]);
});
