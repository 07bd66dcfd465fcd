import type { Clock } from './base/clock.js';
import type { Alarm } from './contract/alarm.js';
import { readClock } from './health/clock.js';
import type { Host } from './health/host.js';
import type { StateReading } from './health/disk-faults.js';
import type { BoxReading, CenterReading } from './health/status.js';
import type { IngestStatus } from './ingest/ports.js';
import type { Gate } from './policy/gate.js';
import { planForecast, ratesOf, type CameraForecast } from './ring/forecast.js';
import type { RingStatus } from './ring/types.js';
import type { Settings } from './settings/table.js';
import { VERSION } from './version.js';

export interface OutsideReading {
  site: string;
  box: string;
  claimed: boolean;
  center: CenterReading;
  /** Box minus center, and how long ago the center said its time. */
  clock: { offsetMs: number; agoMs: number } | null;
  queue: { clips: number; bytes: number; outbox: number };
}

export interface ReadingInputs {
  clock: Clock;
  startedMono: number;
  settings: Settings;
  keyId: string;
  host: Host;
  gate: Gate;
  ring: RingStatus | null;
  state: StateReading;
  streams: IngestStatus[];
  outside: OutsideReading;
  /** Why the box is nobody's although it was claimed; null: nothing to tell. */
  claim: BoxReading['claim'];
  cameraClocks: ReadonlyMap<string, number>;
  alarms: readonly Alarm[];
}

const DAY_MS = 86_400_000;

/** Everything that is known of the box at this moment, from memory: nobody who asks waits for a disk. */
export function readBox(inputs: ReadingInputs): BoxReading {
  const { clock, host, gate, outside, settings } = inputs;
  const nowMs = clock.now();
  const { error, sha256 } = gate.terms;
  return {
    nowMs,
    uptimeS: (clock.monotonic() - inputs.startedMono) / 1000,
    site: outside.site,
    box: outside.box,
    agent: VERSION,
    keyId: inputs.keyId,
    claimed: outside.claimed,
    claim: inputs.claim,
    streams: inputs.streams,
    disk: inputs.ring === null ? null : { ...inputs.ring, forecast: forecastOf(inputs.ring, inputs.streams) },
    state: inputs.state,
    clock: readClock({ nowMs, synchronised: host.synchronised, center: outside.clock }),
    center: outside.center,
    queue: outside.queue,
    host: host.reading,
    policy: {
      hash: sha256,
      problem: error === null ? null : { code: error.code, message: error.message, fix: error.fix ?? '' },
    },
    promiseDays: settings['recording.promise'] / DAY_MS,
    cameraClocks: inputs.cameraClocks,
    alarms: inputs.alarms,
  };
}

function forecastOf(ring: RingStatus, streams: readonly IngestStatus[]): CameraForecast[] {
  const sent = new Map(streams.map(({ stream, bitrate }) => [stream, bitrate / 8_000]));
  return ring.roomBytes === null ? [] : planForecast(ratesOf(ring, sent), ring.roomBytes, ring.limits);
}
