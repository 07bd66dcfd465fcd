import type { Alarm } from '../contract/alarm.js';
import type { Fact } from './alarms.js';

/** What the ring says of itself and of its disk; null while its thread has not answered. */
export interface DiskReading {
  state: string;
  problem: string | null;
  usedBytes: number;
  quotaBytes: number;
  freeBytes: number | null;
  /** 1: every stream keeps its floor. */
  floorShare: number;
  evicting: string;
  damagedSegments: number;
  forecast: readonly { camera: string; days: number; originalsDays: number; legalDays: number | null }[];
  streams: readonly {
    stream: string;
    committedAgeMs: number | null;
    oldestMs: number | null;
    gapSeconds24h: number;
    openGap: string | null;
  }[];
}

/** How the system disk with state.db answers. */
export interface StateReading {
  /** An answer is missing for so long; 0: it answers. */
  silentMs: number;
  /** What it said last when it answered with an error; null: all is well. */
  problem: string | null;
}

export interface DisksReading {
  disk: DiskReading | null;
  state: StateReading;
  uptimeS: number;
  promiseDays: number;
}

/** A thread that did not say a word for so long after the start hangs. */
const FIRST_WORD_S = 8;
const SILENT_MS = 2_500;
const STORAGE = 'tns1:Device/HardwareFailure/StorageFailure';

/** What is wrong with the disks of the box, each with what to do. */
export function diskFacts(reading: DisksReading): Fact[] {
  const { disk } = reading;
  return [
    ...stateFacts(reading.state),
    ...(disk === null ? silentFacts(reading.uptimeS) : recordingFacts(disk, reading.promiseDays)),
  ];
}

/** Days that are held of the camera with the fewest; null: not known. */
export function forecastDays(disk: DiskReading | null): number | null {
  const days = disk?.forecast.map((one) => one.days) ?? [];
  return days.length === 0 ? null : Math.min(...days);
}

function recordingFacts(disk: DiskReading, promiseDays: number): Fact[] {
  const found: Fact[] = [];
  if (disk.state !== 'ok' && disk.state !== 'rebuilding') {
    const message = disk.problem ?? `the recording disk is ${disk.state}`;
    found.push(fact(`disk.${disk.state}`, 'critical', message, DISK_HINT[disk.state] ?? ''));
  } else if (disk.streams.some((stream) => stream.openGap === 'disk_slow')) {
    found.push(
      fact('disk.slow', 'critical', 'the recording disk takes less than the cameras send', DISK_HINT['slow']!),
    );
  }
  if (disk.evicting === 'nothing_left') {
    const message = 'everything on the recording disk is held: there is no room for what the cameras send';
    found.push(
      fact('disk.held', 'critical', message, 'end holds that are not needed any more, or bring a larger disk'),
    );
  }
  if (disk.floorShare < 1) {
    const message = `the recording disk holds only ${Math.round(disk.floorShare * 100)} % of what every camera should keep at least`;
    found.push(fact('disk.floor', 'warning', message, 'bring a larger disk, or lower recording.floor'));
  }
  if (disk.damagedSegments > 0) {
    const message = `${disk.damagedSegments} recordings do not fit their hash any more and are not served`;
    found.push(fact('disk.damaged', 'warning', message, 'the disk forgets: look at its health, and replace it soon'));
  }
  return [...found, ...promiseFacts(disk, promiseDays)];
}

function promiseFacts(disk: DiskReading, promiseDays: number): Fact[] {
  const short = disk.forecast
    .filter((one) => one.days < Math.min(promiseDays, one.legalDays ?? Infinity))
    .sort((a, b) => a.days - b.days);
  const [worst] = short;
  if (worst === undefined) return [];
  const others = short.length === 1 ? '' : ` and ${short.length - 1} more`;
  return [
    {
      ...fact(
        'retention.below_promise',
        'warning',
        `the disk will hold ${worst.days.toFixed(1)} days of ${worst.camera}${others}, ${promiseDays} were promised`,
        'raise recording.quota, bring a larger disk, or lower the bit rate of the cameras',
      ),
      // Rates waver; a disk that is too small stays so.
      raiseAfterMs: 60_000,
      clearAfterMs: 10 * 60_000,
    },
  ];
}

function silentFacts(uptimeS: number): Fact[] {
  if (uptimeS < FIRST_WORD_S) return [];
  return [fact('disk.hung', 'critical', 'the recording disk has not answered since the start', DISK_HINT['hung']!)];
}

function stateFacts({ silentMs, problem }: StateReading): Fact[] {
  if (silentMs >= SILENT_MS) {
    const message = `the system disk has not answered for ${Math.round(silentMs / 1000)} s`;
    return [fact('system_disk.hung', 'critical', message, DISK_HINT['hung']!)];
  }
  if (problem === null) return [];
  return [fact('system_disk.failed', 'critical', `the box cannot keep its state: ${problem}`, DISK_HINT['system']!)];
}

const DISK_HINT: Record<string, string> = {
  full: 'something else fills the disk: remove it, or give recordings a disk of their own',
  failed: 'the disk gives errors: look at its cable, then replace it',
  missing: 'the recording disk is not mounted: check it; a new one needs recording.create',
  wrong: 'this is the disk of another box: put the right one in, or set recording.create on an empty one',
  hung: 'the disk does not answer: look at its cable and its power, then replace it',
  slow: 'the disk is too slow or dying, or something else keeps it busy: look at its health, then replace it',
  system: 'make room on the disk with state_dir and check that it is not read-only, then look at its health',
};

function fact(kind: string, severity: Alarm['severity'], message: string, hint: string): Fact {
  const onvif = /^(disk\.(failed|missing|wrong|hung|slow)|system_disk)/.test(kind) ? STORAGE : null;
  return { kind, onvif, severity, camera: null, message, hint, raiseAfterMs: 0, clearAfterMs: 3_000 };
}
