import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { Processes } from '../base/processes.js';
import type { MotionEvent } from '../contract/motion.js';
import type { MotionZones } from '../contract/zones.js';
import type { AccessUnit, VideoFormat } from '../media/stream.js';
import { FfmpegDecoders } from './decoders.js';
import type { MergeMode } from './merge.js';
import { FRAME_HEIGHT, FRAME_WIDTH } from './grid.js';
import { grayPng } from './png.js';
import { ONVIF_TOPIC, type Blindness } from './truth.js';
import { Voice } from './voice.js';
import { Watcher, type Cadence, type WatchStats } from './watcher.js';

const SWEEP_MS = 5_000;
const VIEW_MS = 600_000;

export interface MotionOptions {
  clock: Clock;
  processes: Processes;
  log: Log;
  cadence: Cadence;
  onEvent: (event: MotionEvent) => void;
  /** How the camera's own motion detector counts. Default: it does not, but makes us look. */
  merge?: MergeMode;
  /** A camera tells motion without end, since then; null: not any more. */
  onStorm?: (camera: string, sinceMs: number | null) => void;
  /** Pictures of a camera come and cannot be looked at, since then; null: they are looked at again. */
  onBlind?: (camera: string, sinceMs: number | null) => void;
  /** A camera does not see any more, or sees again. */
  onSight?: (camera: string, sight: Sight) => void;
  /** How the view of a camera looks, to be given to `restoreView` after a restart. */
  onView?: (camera: string, view: Uint8Array) => void;
  random?: () => number;
}

/** What became of a camera's sight, with the pictures that show it; times in ms since 1970. */
export interface Sight {
  kind: Blindness;
  state: 'raised' | 'cleared';
  sinceMs: number;
  atMs: number;
  hint: string;
  onvif: string;
  /** PNG, 320x180 gray. */
  before: Uint8Array;
  now: Uint8Array;
}

export interface Motion {
  /** A run of the stream starts: the model learns anew, without telling what changed meanwhile. */
  runStart(camera: string, format: VideoFormat): void;
  accessUnit(camera: string, unit: AccessUnit): void;
  /** An open event ends with its last sighting. */
  runEnd(camera: string): void;
  remove(camera: string): void;
  /** What the camera's own detector says; undefined: nobody tells for it any more. */
  cameraMotion(camera: string, active: boolean | undefined): void;
  /** The view of the camera is as it should be from now on. */
  acceptView(camera: string): void;
  /** What of its motion is told, from its next picture on. */
  setZones(camera: string, zones: MotionZones, timeZone: string): void;
  /** The view that the camera had in an earlier life of the agent: it is held against that one. */
  restoreView(camera: string, view: Uint8Array): void;
  /** By camera: what was decoded and why. */
  stats(): Record<string, WatchStats>;
  /** Resolves as soon as no picture waits for its decoder. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

interface Watched {
  watcher: Watcher;
  voice: Voice;
  /** Monotonic ms at which its view was last told. */
  viewAt: number;
}

/** Motion of all cameras: access units in, events out. */
export function createMotion(options: MotionOptions): Motion {
  const { clock } = options;
  const decoders = new FfmpegDecoders(options);
  const cameras = new Map<string, Watched>();
  const views = new Map<string, Uint8Array>();
  const zones = new Map<string, { config: MotionZones; timeZone: string }>();
  const stopSweep = clock.every(SWEEP_MS, () => {
    decoders.sweep();
    for (const [camera, watched] of cameras) {
      watched.watcher.tick(clock.monotonic());
      watched.voice.tick();
      tellView(camera, watched);
    }
  });

  const add = (camera: string): Watched => {
    const voice = new Voice({
      ...{ clock, camera, mode: options.merge ?? 'ours', onEvent: options.onEvent },
      onStorm: (sinceMs) => options.onStorm?.(camera, sinceMs),
    });
    const watched: Watched = {
      voice,
      viewAt: Number.NEGATIVE_INFINITY,
      watcher: new Watcher({
        decoders,
        cadence: options.cadence,
        onIncident: (note, wallOf) => voice.incident(note, wallOf),
        onBlind: (forMs) => {
          if (forMs === null) options.log.info({ camera }, 'the pictures of a camera are looked at again');
          else options.log.warn({ camera, forMs }, 'no picture of a camera can be looked at: its decoder gives none');
          options.onBlind?.(camera, forMs === null ? null : clock.now() - forMs);
        },
        onTruth: ({ kind, state, since, tMs, hint, before, now }, wallOf) => {
          options.log.warn({ camera, kind, state }, 'the sight of a camera changed');
          const at = { sinceMs: wallOf(since), atMs: wallOf(tMs) };
          const pictures = { before: stillOf(before), now: stillOf(now) };
          options.onSight?.(camera, { kind, state, hint, onvif: ONVIF_TOPIC[kind], ...at, ...pictures });
        },
      }),
    };
    const view = views.get(camera);
    if (view !== undefined) watched.watcher.truth.restore(view);
    const kept = zones.get(camera);
    if (kept !== undefined) watched.watcher.detector.zones.set(kept.config, kept.timeZone);
    cameras.set(camera, watched);
    return watched;
  };

  const tellView = (camera: string, watched: Watched): void => {
    if (clock.monotonic() - watched.viewAt < VIEW_MS) return;
    const view = watched.watcher.truth.view();
    if (view === undefined) return;
    watched.viewAt = clock.monotonic();
    options.onView?.(camera, view);
  };

  return {
    runStart: (camera, format) => (cameras.get(camera) ?? add(camera)).watcher.runStart(format),
    accessUnit: (camera, unit) => cameras.get(camera)?.watcher.accessUnit(unit),
    runEnd: (camera) => cameras.get(camera)?.watcher.runEnd(),
    remove(camera) {
      cameras.get(camera)?.watcher.runEnd();
      cameras.get(camera)?.voice.finish();
      cameras.delete(camera);
    },
    stats: () => Object.fromEntries([...cameras].map(([camera, watched]) => [camera, watched.watcher.stats])),
    cameraMotion(camera, active) {
      const watched = cameras.get(camera);
      watched?.voice.camera(active);
      if (active === true) watched?.watcher.stir();
    },
    acceptView(camera) {
      views.delete(camera);
      const watched = cameras.get(camera);
      if (watched === undefined) return;
      watched.viewAt = Number.NEGATIVE_INFINITY;
      watched.watcher.truth.accept();
    },
    setZones(camera, config, timeZone) {
      zones.set(camera, { config, timeZone });
      cameras.get(camera)?.watcher.detector.zones.set(config, timeZone);
    },
    restoreView: (camera, view) => void views.set(camera, view),
    idle: () => decoders.idle(),
    stop() {
      stopSweep();
      for (const { watcher, voice } of cameras.values()) {
        watcher.runEnd();
        voice.finish();
      }
      cameras.clear();
      decoders.stop();
      return Promise.resolve();
    },
  };
}

function stillOf(gray: Uint8Array): Uint8Array {
  return grayPng(gray, FRAME_WIDTH, FRAME_HEIGHT);
}
