import type { Clock } from '../../base/clock.js';
import type { Engine } from '../ports.js';
import { ReadPace } from './pace.js';
import { NativeSession } from './session.js';

export interface NativeDeps {
  clock: Clock;
  maxAccessUnitBytes: number;
  /** 0 <= x < 1, for our SSRC and the spread of reports. */
  random?: () => number;
  connectMs?: number;
  /** For each answer of the camera, from the request to the last byte. */
  responseMs?: number;
  /** How often connections are read once they play; 0 reads every packet as it comes. */
  paceMs?: number;
}

/** Half of the CPU of reading every picture as it comes; less than the length of a fragment, which a viewer waits for anyway. */
const PACE_MS = 200;
/** What one read takes from the kernel at most; a second read follows if there is more. */
const READ_BUFFER = 128 * 1024;

/**
 * RTSP over TCP spoken by ourselves, on the parsers of `media`: one connection per stream, no child process. All
 * sessions of an engine read into the same buffer, because what was read is used up before the next read begins.
 */
export function nativeEngine(deps: NativeDeps): Engine {
  const buffer = new Uint8Array(READ_BUFFER);
  const pace = new ReadPace(deps.clock, deps.paceMs ?? PACE_MS);
  return { name: 'native', open: (source, events) => new NativeSession({ ...deps, buffer, pace }, source, events) };
}
