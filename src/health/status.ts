import type { Alarm } from '../contract/alarm.js';
import type { StreamStatus } from '../contract/camera.js';
import type { StatusBody } from '../contract/http.js';
import type { Heartbeat } from '../contract/messages.js';
import { toUtc } from '../contract/primitives.js';
import { clockFacts, type ClockReading } from './clock.js';
import { diskFacts, forecastDays, type DisksReading } from './disk-faults.js';
import type { HostReading } from './host.js';

export interface CenterReading {
  id: string | null;
  state: StatusBody['center']['state'];
  ackAtMs: number | null;
  detail: string;
}

/** Everything that is known of the box at one moment. */
export interface BoxReading extends DisksReading {
  nowMs: number;
  site: string;
  box: string;
  agent: string;
  keyId: string;
  claimed: boolean;
  /** Why the box is nobody's although it was claimed; null: nothing to tell. */
  claim: { code: string; message: string; fix: string } | null;
  /** Without the age of the last byte on disk. */
  streams: Omit<StreamStatus, 'ageMs'>[];
  clock: ClockReading;
  center: CenterReading;
  queue: { clips: number; bytes: number; outbox: number };
  host: HostReading;
  policy: { hash: string | null; problem: { code: string; message: string; fix: string } | null };
  /** Camera minus box, ms, by camera. */
  cameraClocks: ReadonlyMap<string, number>;
  /** Alarms that hold. */
  alarms: readonly Alarm[];
}

type Problem = StatusBody['problems'][number];

/** Footage older than this is not "recording", whatever the engine says. */
const STALE_MS = 15_000;
const SKEW_MS = 5_000;

/** The status of the box as the page, the socket and `bluelight status` show it. */
export function assembleStatus(reading: BoxReading): StatusBody {
  const streams = reading.streams.map((stream) => withAge(stream, reading.disk));
  const problems = findProblems(reading, streams);
  const { disk } = reading;
  return {
    now: toUtc(reading.nowMs),
    state: stateOf(reading, streams, problems),
    box: { site: reading.site, box: reading.box, agent: reading.agent, uptime: reading.uptimeS, key: reading.keyId },
    problems,
    streams,
    disk: {
      state: disk?.state ?? 'starting',
      detail: disk?.problem ?? '',
      bytes: disk?.usedBytes ?? 0,
      quota: disk?.quotaBytes ?? 0,
      free: disk?.freeBytes ?? null,
      days: forecastDays(disk),
      oldest: oldest(disk?.streams ?? []),
      forecast: (disk?.forecast ?? []).map(({ camera, days, originalsDays }) => ({
        camera,
        days,
        originals: originalsDays,
      })),
    },
    clock: reading.clock,
    center: {
      state: reading.center.state,
      id: reading.center.id,
      ackAt: reading.center.ackAtMs === null ? null : toUtc(reading.center.ackAtMs),
      detail: reading.center.detail,
    },
    queue: reading.queue,
    host: reading.host,
  };
}

/** "Recording" is claimed from bytes on the disk alone. */
function withAge(stream: Omit<StreamStatus, 'ageMs'>, disk: BoxReading['disk']): StreamStatus {
  const ageMs = disk?.streams.find((one) => one.stream === stream.stream)?.committedAgeMs ?? null;
  const stale = stream.state === 'recording' && (ageMs === null || ageMs > STALE_MS);
  if (!stale) return { ...stream, ageMs };
  return ageMs === null
    ? { ...stream, state: 'starting', ageMs }
    : { ...stream, state: 'stalled', detail: 'pictures come, but nothing reaches the disk', ageMs };
}

function stateOf(reading: BoxReading, streams: StreamStatus[], problems: Problem[]): StatusBody['state'] {
  if (problems.some((problem) => problem.severity === 'critical')) return 'problem';
  if (reading.disk === null || streams.some((stream) => stream.state === 'starting')) return 'starting';
  if (!reading.claimed) return 'waiting_claim';
  return 'ok';
}

function findProblems(reading: BoxReading, streams: StreamStatus[]): Problem[] {
  return [
    ...diskFacts(reading).map(diskProblem),
    ...streams.flatMap(streamProblems),
    ...clockProblems(reading),
    ...reading.alarms.flatMap(alarmProblem),
    ...(reading.claim === null ? [] : [{ ...reading.claim, ...box('warning') }]),
    ...(reading.policy.problem === null ? [] : [{ ...reading.policy.problem, ...box('warning') }]),
  ];
}

/** These have been told as a problem before they are an alarm. */
const TOLD = /^(camera\.(signal_lost|clock)$|clock\.unknown$|disk\.|system_disk\.|retention\.)/;

function alarmProblem({ kind, severity, camera, message, hint, since }: Alarm): Problem[] {
  if (TOLD.test(kind)) return [];
  return [{ code: codeOf(kind), severity, camera, message, fix: hint, since }];
}

function codeOf(kind: string): string {
  return kind.replace('.', '_').toUpperCase();
}

function box(severity: Problem['severity']): Pick<Problem, 'severity' | 'camera' | 'since'> {
  return { severity, camera: null, since: null };
}

function diskProblem({ kind, severity, message, hint }: ReturnType<typeof diskFacts>[number]): Problem {
  return { code: codeOf(kind), message, fix: hint, ...box(severity) };
}

function streamProblems(stream: StreamStatus): Problem[] {
  if (stream.state === 'recording' || stream.state === 'starting' || stream.state === 'disabled') return [];
  return [
    {
      code: `STREAM_${stream.state.toUpperCase()}`,
      severity: stream.role === 'main' ? 'critical' : 'warning',
      camera: stream.camera,
      message: `${stream.stream} is not recorded: ${stream.detail === '' ? stream.state : stream.detail}`,
      fix: STREAM_FIX[stream.state],
      since: null,
    },
  ];
}

const STREAM_FIX: Record<'offline' | 'auth_failed' | 'stalled' | 'invalid', string> = {
  offline: 'check power and cable of the camera; `bluelight camera test` tells more',
  auth_failed: 'the camera refuses the password: give the right one with `bluelight camera add`',
  stalled: 'the camera is connected but sends nothing new: restart it',
  invalid: 'the camera sends something that is not video: check its stream settings',
};

function clockProblems({ clock, cameraClocks }: BoxReading): Problem[] {
  const found: Problem[] = [];
  for (const { kind, severity, message, hint } of clockFacts(clock)) {
    if (kind === 'clock.unknown') found.push({ code: codeOf(kind), message, fix: hint, ...box(severity) });
  }
  for (const [camera, offsetMs] of cameraClocks) {
    if (Math.abs(offsetMs) < SKEW_MS) continue;
    found.push({
      code: 'CAMERA_CLOCK',
      severity: 'warning',
      camera,
      message: `the clock of ${camera} is ${(offsetMs / 1000).toFixed(0)} s ${offsetMs > 0 ? 'ahead' : 'behind'}`,
      fix: 'set its time server; recordings carry the time of the box',
      since: null,
    });
  }
  return found;
}

/** The heartbeat: the same reading, compact. `beat` is what the connection adds. */
export function assembleHeartbeat(
  reading: BoxReading,
  beat: { seq: number; nonce: string; outbox: number },
): Heartbeat {
  const { disk, host, clock, queue } = reading;
  const streams = reading.streams.map((stream) => withAge(stream, disk));
  const used = disk === null || disk.quotaBytes === 0 ? 0 : (100 * disk.usedBytes) / disk.quotaBytes;
  return {
    schema: 1,
    seq: beat.seq,
    nonce: beat.nonce,
    ts: toUtc(reading.nowMs),
    uptime: Math.round(reading.uptimeS),
    cpu: host.cpu ?? 0,
    mem: host.mem ?? 0,
    temp: host.temp,
    disk: {
      used: Math.round(used * 10) / 10,
      bytes: disk?.usedBytes ?? 0,
      quota: disk?.quotaBytes ?? 0,
      days: forecastDays(disk),
      state: disk?.state ?? 'starting',
    },
    clock: { src: clock.source, offset: clock.offsetMs },
    queue: { clips: queue.clips, bytes: queue.bytes, outbox: beat.outbox },
    policy: reading.policy.hash ?? '',
    ...boxAlarms(reading.alarms),
    cams: [...new Set(streams.map((stream) => stream.camera))].map((camera) => cameraBeat(reading, camera, streams)),
  };
}

/** So that the center hears of a system disk on which no event can be kept. */
function boxAlarms(alarms: readonly Alarm[]): Pick<Heartbeat, 'alarms'> {
  const own = alarms.filter((alarm) => alarm.camera === null).map((alarm) => alarm.kind);
  return own.length === 0 ? {} : { alarms: own };
}

function cameraBeat(reading: BoxReading, camera: string, all: StreamStatus[]): Heartbeat['cams'][number] {
  const streams = all.filter((stream) => stream.camera === camera);
  // The main stream is the evidence: the camera is as well as that is.
  const main = streams.find((stream) => stream.role === 'main') ?? streams[0]!;
  const disk = reading.disk?.streams.filter((one) => streams.some((stream) => stream.stream === one.stream)) ?? [];
  const own = reading.alarms.filter((alarm) => alarm.camera === camera);
  const alarms = own.map((alarm) => alarm.kind.replace(/^camera\./, ''));
  const mainDisk = disk.find((one) => one.stream === main.stream);
  return {
    id: camera,
    state: main.state,
    fps: Math.round(main.fps * 10) / 10,
    age: main.ageMs === null ? null : Math.round(main.ageMs / 100) / 10,
    gap: Math.round(mainDisk?.gapSeconds24h ?? 0),
    oldest: oldest(disk),
    days: reading.disk?.forecast.find((one) => one.camera === camera)?.days ?? null,
    clock: reading.cameraClocks.get(camera) ?? null,
    ...(alarms.length === 0 ? {} : { alarms }),
  };
}

function oldest(streams: readonly { oldestMs: number | null }[]): string | null {
  const known = streams.flatMap((stream) => (stream.oldestMs === null ? [] : [stream.oldestMs]));
  return known.length === 0 ? null : toUtc(Math.min(...known));
}
