import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Clock } from './base/clock.js';
import type { Closing } from './base/closing.js';
import type { Remote } from './base/rpc.js';
import { useThread, type Thread } from './base/thread.js';
import type { MotionEvent } from './contract/motion.js';
import { LiveHub } from './ingest/live-hub.js';
import type { LiveMessage } from './ingest/live.js';
import type { Admission, IngestStatus } from './ingest/ports.js';
import { agedStatus } from './ring/status.js';
import type { RingStatus } from './ring/types.js';
import type { Settings } from './settings/table.js';
import type { Store } from './store/client.js';
import type { MediaApi, MediaData, MediaNotes, RingApi, RingData, RingNotes, WatchNote } from './threads.js';

export interface RecordingOptions {
  clock: Clock;
  settings: Settings;
  store: Store;
  closing: Closing;
  /** Of the box. */
  key: KeyObject;
  onMotion: (event: MotionEvent) => void;
  onSight: (sight: MediaNotes['sight']) => void;
  onView: (view: MediaNotes['view']) => void;
  onStorm: (storm: MediaNotes['storm']) => void;
  onBlind: (blind: MediaNotes['blind']) => void;
  /** A camera refused the password. */
  onRefused: (refused: MediaNotes['refused']) => void;
  /** Whether it is this camera that answers at its address; never rejects. */
  admit: (camera: string, sinceMono: number) => Promise<Admission>;
  /** The ring records to this disk from now on. */
  onDisk: (disk: string) => void;
  /** A thread died: the agent must be started anew. */
  onDeath: (error: Error) => void;
}

export interface Recording {
  ring: Remote<RingApi>;
  media: Remote<MediaApi>;
  live: LiveHub;
  /** What the ring said last of itself, as it is to be read now; null: nothing yet. */
  ringStatus(): RingStatus | null;
  streams(): IngestStatus[];
  /** Forgets the streams of all other cameras. */
  keep(cameras: ReadonlySet<string>): void;
}

/** A hung disk must not hang its caller for longer. */
const DISK_DEADLINE_MS = 5_000;
export const EXPECTED_DISK = 'ring.disk';

/** Starts the way of the footage: the media thread, the ring thread behind it, and what the main thread sees of both. */
export async function startRecording(o: RecordingOptions): Promise<Recording> {
  const { clock, closing, onDeath } = o;
  const said: { ring: { status: RingStatus; mono: number } | null; streams: Map<string, IngestStatus> } = {
    ring: null,
    streams: new Map(),
  };
  const channel = new MessageChannel();
  const ring = useThread<RingApi>(
    new Worker(new URL('./ring-thread.js', import.meta.url), {
      workerData: await ringData(o, channel.port2),
      transferList: [channel.port2],
    }),
    clock,
    {
      name: 'the recording disk',
      deadlineMs: DISK_DEADLINE_MS,
      onDeath,
      onNote: notes<RingNotes>({
        status: (status) => (said.ring = { status, mono: clock.monotonic() }),
        disk: o.onDisk,
      }),
    },
  );
  closing.add('the ring thread', () => ring.end());
  closing.add('the ring', () => ring.api.stop(undefined));
  const media: Thread<MediaApi> = useThread<MediaApi>(
    new Worker(new URL('./media-thread.js', import.meta.url), {
      workerData: mediaData(o.settings, channel.port1),
      transferList: [channel.port1],
    }),
    clock,
    {
      name: 'the media thread',
      deadlineMs: 10_000,
      onDeath,
      onNote: notes<MediaNotes>({
        status: (status) => said.streams.set(status.stream, status),
        live: (message: LiveMessage) => live.take(message),
        motion: o.onMotion,
        sight: o.onSight,
        view: o.onView,
        storm: o.onStorm,
        blind: o.onBlind,
        refused: o.onRefused,
        async admit({ ask, camera, sinceMono }): Promise<void> {
          await media.api.admitted({ ask, admission: await o.admit(camera, sinceMono) });
        },
      }),
    },
  );
  closing.add('the media thread', () => media.end());
  const live = new LiveHub({ watch: (stream, on) => media.note('watch', { stream, on } satisfies WatchNote) });
  return {
    ring: ring.api,
    media: media.api,
    live,
    ringStatus: () => (said.ring === null ? null : agedStatus(said.ring.status, clock.monotonic() - said.ring.mono)),
    streams: () => [...said.streams.values()],
    keep(cameras) {
      for (const [stream, { camera }] of said.streams) if (!cameras.has(camera)) said.streams.delete(stream);
    },
  };
}

function notes<N>(table: { [K in keyof N]: (value: N[K]) => unknown }): (name: string, value: unknown) => void {
  const takers = table as Record<string, ((value: unknown) => unknown) | undefined>;
  return (name, value) => void takers[name]?.(value);
}

async function ringData({ settings, store, key }: RecordingOptions, media: MessageChannel['port2']): Promise<RingData> {
  const expected: unknown = await store.kv.get(EXPECTED_DISK);
  return {
    media,
    key,
    logLevel: settings['log.level'],
    directory: settings['recording.dir'],
    create: settings['recording.create'],
    expectDisk: typeof expected === 'string' ? expected : undefined,
    segmentMs: settings['recording.segment'],
    // Names this boot: monotonic times of different boots must not be compared.
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    limits: {
      quotaBytes: settings['recording.quota'],
      reserveBytes: settings['recording.reserve'],
      floorMs: settings['recording.floor'],
      originalsMs: settings['recording.originals'],
      keepMs: settings['recording.keep'],
      maximumMs: {},
    },
  };
}

function mediaData(settings: Settings, ring: MessageChannel['port1']): MediaData {
  return {
    ring,
    logLevel: settings['log.level'],
    cadence: settings['motion.enabled'] ? settings['motion.cadence'] : undefined,
    merge: settings['motion.camera_events'],
    engine: settings['cameras.engine'],
    basicLogin: settings['cameras.basic_login'],
    queueBytes: settings['recording.queue'],
  };
}
