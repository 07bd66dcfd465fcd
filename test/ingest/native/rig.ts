import { test as base } from 'vitest';
import { systemClock } from '../../../src/base/clock.js';
import { createLog, Redactor } from '../../../src/base/log.js';
import { systemProcesses } from '../../../src/base/processes.js';
import { createIngest, type Ingest, type IngestDeps } from '../../../src/ingest/ingest.js';
import { nativeEngine, type NativeDeps } from '../../../src/ingest/native/native.js';
import type { EngineEnd, EngineName, RawPicture } from '../../../src/ingest/ports.js';
import { parseSource } from '../../../src/ingest/source.js';
import type { Codec } from '../../../src/media/stream.js';
import { accessUnitsInFile, elementaryStream } from '../../support/clips.js';
import { startGst, type GstOptions, type GstServer } from '../../support/gst.js';
import { Recorder } from '../../support/recorder.js';
import { FakeCamera, type CameraOptions } from './camera.js';

export const USER = 'admin';
export const PASSWORD = 'S3cret "Pw"!/@:%&ö';

/** A session of the engine alone, and all that it told. */
export interface Session {
  pictures: RawPicture[];
  losses: string[];
  accepted: number;
  bytes: number;
  reads: number;
  sets: Uint8Array[];
  stop(): void;
  ended: Promise<EngineEnd>;
}

export class Rig {
  readonly #open: (() => Promise<void> | void)[] = [];

  async camera(options: Partial<CameraOptions> = {}): Promise<FakeCamera> {
    const units = options.units ?? (await pictures());
    const camera = await FakeCamera.start({ ...options, units });
    this.#open.push(() => camera.close());
    return camera;
  }

  async gst(options: GstOptions): Promise<GstServer> {
    const server = await startGst(options);
    this.#open.push(() => server.kill());
    return server;
  }

  session(
    uri: string,
    login: { username?: string; password?: string; allowBasic?: boolean } = {},
    more: Partial<NativeDeps> = {},
  ): Session {
    const engine = nativeEngine({ clock: systemClock(), maxAccessUnitBytes: 8e6, responseMs: 1_000, ...more });
    const told = {
      pictures: [] as RawPicture[],
      losses: [] as string[],
      accepted: 0,
      bytes: 0,
      reads: 0,
      sets: [] as Uint8Array[],
    };
    const source = { stream: 'door.main', url: parseSource(uri), username: '', password: '', ...login };
    const session = engine.open(source, {
      accepted: () => void told.accepted++,
      parameterSets: (_codec, sets) => void told.sets.push(...sets),
      picture: (picture) => void told.pictures.push(picture),
      received: (bytes) => {
        told.bytes += bytes;
        told.reads++;
      },
      lost: (detail) => void told.losses.push(detail),
    });
    this.#open.push(async () => {
      session.stop();
      await session.ended;
    });
    return Object.assign(told, { stop: () => session.stop(), ended: session.ended });
  }

  ingest(
    uri: string,
    more: Partial<IngestDeps> = {},
    password = PASSWORD,
    engine: EngineName = 'native',
  ): { ingest: Ingest; recorder: Recorder } {
    const recorder = new Recorder();
    const redactor = new Redactor();
    const clock = systemClock();
    const log = createLog({ redactor, level: 'error', write: () => undefined });
    const ingest = createIngest({ clock, processes: systemProcesses(clock), log, redactor, sink: recorder, ...more });
    this.#open.push(() => ingest.stop());
    ingest.setCameras([{ id: 'door', username: USER, password, streams: [{ role: 'main', uri, engine }] }]);
    return { ingest, recorder };
  }

  later(close: () => Promise<void> | void): void {
    this.#open.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#open.reverse()) await close();
  }
}

export const test = base.extend<{ rig: Rig }>({
  rig: async ({ task: _task }, use) => {
    const rig = new Rig();
    await use(rig);
    await rig.close();
  },
});

export async function pictures(codec: Codec = 'h264', bframes = 0): Promise<Uint8Array[][]> {
  return accessUnitsInFile(await elementaryStream({ codec, bframes }), codec);
}

/** Answers of a camera, as text. */
export const ok = (headers: string, body = ''): string =>
  `RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
export const status = (line: string): string => `RTSP/1.0 ${line}\r\nCSeq: {cseq}\r\n\r\n`;
