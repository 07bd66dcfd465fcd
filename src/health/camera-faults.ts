import type { StreamStatus } from '../contract/camera.js';
import type { Fact } from './alarms.js';
import type { Odd } from './stream-habit.js';

/** A camera that delivers pictures and does not see. */
export interface SightFault {
  camera: string;
  kind: string;
  onvif: string | null;
  hint: string;
  sinceMs: number;
}

export interface CameraReading {
  streams: readonly Pick<StreamStatus, 'stream' | 'camera' | 'role' | 'state' | 'detail'>[];
  odd: ReadonlyMap<string, readonly { odd: Odd; now: number; usual: number }[]>;
  /** Camera minus box, ms, by camera. */
  clocks: ReadonlyMap<string, number>;
  sights: readonly SightFault[];
  /** Since when a camera tells motion without end, ms since 1970. */
  storms: ReadonlyMap<string, number>;
  /** Since when the pictures of a camera come and cannot be looked at, ms since 1970. */
  blind: ReadonlyMap<string, number>;
}

const SKEW_MS = 5_000;
const LOST = new Set(['offline', 'auth_failed', 'stalled', 'invalid']);
const WORDS: Record<string, string> = {
  frozen: 'shows the same picture all the time',
  dark: 'is dark',
  overexposed: 'is white',
  covered: 'is covered',
  blurred: 'is blurred',
  moved: 'looks elsewhere than it was set up to',
  infrared: 'shows the day without colours: its infrared filter is stuck',
};

/** What is wrong with the cameras, each with what to bring. */
export function cameraFacts(reading: CameraReading): Fact[] {
  return [
    ...reading.sights.map(sightFact),
    ...[...reading.storms].map(([camera, sinceMs]) => stormFact(camera, sinceMs)),
    ...[...reading.blind].map(([camera, sinceMs]) => blindFact(camera, sinceMs)),
    ...reading.streams.flatMap(lostFact),
    ...reading.streams.flatMap((stream) => (reading.odd.get(stream.stream) ?? []).map((one) => oddFact(stream, one))),
    ...[...reading.clocks].flatMap(([camera, offsetMs]) => clockFact(camera, offsetMs)),
  ];
}

/** It has held for long enough when it is told: the pictures were watched. */
function sightFact({ camera, kind, onvif, hint, sinceMs }: SightFault): Fact {
  return {
    ...{ kind: `camera.${kind}`, onvif, camera, hint, sinceMs },
    severity: 'critical',
    message: `${camera} ${WORDS[kind] ?? kind}`,
    ...{ raiseAfterMs: 0, clearAfterMs: 0, evidence: true },
  };
}

function stormFact(camera: string, sinceMs: number): Fact {
  return {
    ...{ kind: 'camera.storm', onvif: null, camera, sinceMs, severity: 'warning' },
    message: `${camera} tells motion without end; its events are told as one`,
    hint: 'look what moves there all the time: set a mask or an exclude zone, cut the branch, fasten what swings',
    ...{ raiseAfterMs: 0, clearAfterMs: 0 },
  };
}

function blindFact(camera: string, sinceMs: number): Fact {
  return {
    ...{ kind: 'camera.unwatched', onvif: null, camera, sinceMs, severity: 'critical' },
    message: `motion of ${camera} is not seen: its pictures are recorded but cannot be decoded`,
    hint: 'the box tries again by itself: look whether it is overloaded, and whether the camera sends key frames',
    ...{ raiseAfterMs: 10_000, clearAfterMs: 10_000 },
  };
}

function lostFact({ camera, role, state, detail }: CameraReading['streams'][number]): Fact[] {
  if (role !== 'main' || !LOST.has(state)) return [];
  return [
    {
      ...{ kind: 'camera.signal_lost', onvif: 'tns1:VideoSource/SignalLoss', camera, severity: 'critical' },
      message: `no pictures come from ${camera}: ${detail === '' ? state : detail}`,
      hint: 'look at its power and its cable; bring a network cable, a power supply and a replacement camera',
      ...{ raiseAfterMs: 15_000, clearAfterMs: 10_000 },
    },
  ];
}

function oddFact(
  { camera, stream }: CameraReading['streams'][number],
  { odd, now, usual }: { odd: Odd; now: number; usual: number },
): Fact {
  const rate = odd === 'frame_rate';
  const of = (value: number): string => (rate ? `${value.toFixed(1)} pictures` : `${(value / 1000).toFixed(0)} kbit`);
  return {
    ...{ kind: `camera.${odd}`, onvif: null, camera, severity: 'warning' },
    message: `${stream} sends ${of(now)} a second, usual are ${of(usual)}`,
    hint: rate
      ? 'somebody changed its settings, or it is overloaded: look at its encoder settings, restart it'
      : 'somebody changed its settings, or the picture is all noise or empty: look at the picture and its encoder settings',
    ...{ raiseAfterMs: 30_000, clearAfterMs: 15_000 },
  };
}

function clockFact(camera: string, offsetMs: number): Fact[] {
  if (Math.abs(offsetMs) < SKEW_MS) return [];
  return [
    {
      ...{ kind: 'camera.clock', onvif: 'tns1:Monitoring/OperatingTime/LastClockSynchronization', camera },
      severity: 'warning',
      message: `the clock of ${camera} is ${(Math.abs(offsetMs) / 1000).toFixed(0)} s ${offsetMs > 0 ? 'ahead' : 'behind'}`,
      hint: 'set its time server, or let the box keep its clock; recordings carry the time of the box',
      ...{ raiseAfterMs: 0, clearAfterMs: 0 },
    },
  ];
}
