import { errorMessage, BluelightError } from '../base/errors.js';
import { loginPrint } from '../base/login-print.js';
import type { GapReason } from '../media/stream.js';
import { ffmpegEngine } from './ffmpeg.js';
import { CameraLogins } from './logins.js';
import { nativeEngine } from './native/native.js';
import { DEFAULT_LIMITS, type Engine, type IngestCamera, type IngestDeps, type IngestLimits } from './ports.js';
import type { IngestStatus, IngestStream } from './ports.js';
import { encodeStrict, parseSource } from './source.js';
import { StreamSupervisor } from './supervisor.js';
import { Track } from './track.js';

export type { IngestCamera, IngestDeps, IngestLimits, IngestStatus, IngestStream } from './ports.js';

export function createIngest(deps: IngestDeps): Ingest {
  return new Ingest(deps);
}

interface Live {
  /** What must be equal for the stream to be left alone. */
  key: string;
  supervisor: StreamSupervisor;
}

interface LiveCamera {
  username: string;
  password: string;
  logins: CameraLogins;
}

/** Streams in: keeps one RTSP session per stream of every camera and tells the sink what comes. */
export class Ingest {
  readonly #deps: IngestDeps;
  readonly #limits: IngestLimits;
  readonly #engines: { ffmpeg: Engine; native: Engine };
  readonly #cameras = new Map<string, LiveCamera>();
  readonly #streams = new Map<string, Live>();
  readonly #invalid = new Map<string, IngestStatus>();
  /** A stream that comes back waits here for the end of its old session. */
  readonly #stopping = new Map<string, Promise<void>>();
  #closed = false;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
    this.#limits = { ...DEFAULT_LIMITS, ...deps.limits };
    const { clock, processes, log, redactor } = deps;
    const { maxAccessUnitBytes } = this.#limits;
    this.#engines = {
      ffmpeg: ffmpegEngine({ clock, processes, log, redactor, maxAccessUnitBytes }),
      native: nativeEngine({ clock, maxAccessUnitBytes, random: deps.random }),
    };
  }

  /** The cameras that are to be recorded from now on. What did not change goes on without a gap. */
  setCameras(cameras: readonly IngestCamera[]): void {
    if (this.#closed) return;
    const wanted = new Set<string>();
    this.#invalid.clear();
    const known = new Set(cameras.map((camera) => camera.id));
    for (const id of this.#cameras.keys()) if (!known.has(id)) this.#cameras.delete(id);
    for (const camera of cameras) {
      const logins = this.#loginsOf(camera);
      for (const stream of camera.streams) {
        const id = `${camera.id}.${stream.role}`;
        wanted.add(id);
        this.#place(id, camera, stream, logins);
      }
    }
    for (const id of [...this.#streams.keys()]) {
      if (!wanted.has(id)) this.#remove(id, 'paused', 'the stream was taken out of the configuration');
    }
  }

  /**
   * Another part of the box was refused by this camera: stop logging in to it with the same credentials.
   * @param login the print of what was refused
   */
  refuse(camera: string, login: string): void {
    const known = this.#cameras.get(camera);
    if (known === undefined || loginPrint(known) !== login) return;
    known.logins.refuse('the camera refuses the user name or password');
  }

  status(): IngestStatus[] {
    return [...[...this.#streams.values()].map((live) => live.supervisor.status), ...this.#invalid.values()];
  }

  /** Ends every session; the last fragments are delivered before it resolves. */
  async stop(): Promise<void> {
    this.#closed = true;
    for (const id of [...this.#streams.keys()]) this.#remove(id, 'agent_stopped', '');
    await Promise.all(this.#stopping.values());
  }

  #loginsOf(camera: IngestCamera): CameraLogins {
    const { username, password } = camera;
    for (const form of [password, encodeStrict(password)]) this.#deps.redactor.add(form);
    const old = this.#cameras.get(camera.id);
    if (old !== undefined && old.username === username && old.password === password) return old.logins;
    const logins = new CameraLogins(this.#deps.clock);
    this.#cameras.set(camera.id, { username, password, logins });
    return logins;
  }

  #place(id: string, camera: IngestCamera, stream: IngestStream, logins: CameraLogins): void {
    const key = JSON.stringify([stream.uri, stream.engine ?? 'auto', camera.username, camera.password]);
    const old = this.#streams.get(id);
    if (old?.key === key) return;
    if (old !== undefined) this.#remove(id, 'starting', 'the settings of the camera changed');
    const supervisor = this.#supervise(id, camera, stream, logins);
    if (supervisor === undefined) return;
    this.#streams.set(id, { key, supervisor });
    const before = this.#stopping.get(id);
    if (before === undefined) supervisor.start();
    else void before.then(() => this.#streams.get(id)?.supervisor === supervisor && supervisor.start());
  }

  #supervise(
    id: string,
    camera: IngestCamera,
    stream: IngestStream,
    logins: CameraLogins,
  ): StreamSupervisor | undefined {
    const { clock, log, sink, fragmentMs, pool, random = Math.random, basicLogin = [] } = this.#deps;
    const { onStatus, onRefused, admit } = this.#deps;
    const status = { stream: id, camera: camera.id, role: stream.role };
    try {
      const url = parseSource(stream.uri);
      return new StreamSupervisor({
        status,
        source: {
          ...{ stream: id, url, username: camera.username, password: camera.password },
          allowBasic: basicLogin.includes(url.host),
        },
        engines: this.#enginesFor(stream),
        logins,
        track: new Track({ ...status, clock, sink, fragmentMs, pool }),
        clock,
        log,
        limits: this.#limits,
        random,
        admit: admit === undefined ? undefined : (since) => admit(camera.id, since),
        onStatus: (now) => onStatus?.(now),
        onRefused: () => onRefused?.(camera.id, loginPrint(camera)),
      });
    } catch (error) {
      if (!(error instanceof BluelightError)) throw error;
      const detail = `${errorMessage(error)}; ${error.fix ?? ''}`;
      const invalid: IngestStatus = { ...status, state: 'invalid', detail, engine: null, ...NO_PICTURE };
      this.#invalid.set(id, invalid);
      sink.runEnd(id, undefined, 'stream_invalid', detail);
      onStatus?.(invalid);
      return undefined;
    }
  }

  #enginesFor(stream: IngestStream): Engine[] {
    const { ffmpeg, native } = this.#engines;
    if (stream.engine === 'ffmpeg') return [ffmpeg];
    return stream.engine === 'native' ? [native] : [native, ffmpeg];
  }

  #remove(id: string, reason: GapReason, detail: string): void {
    const live = this.#streams.get(id);
    if (live === undefined) return;
    this.#streams.delete(id);
    const before = this.#stopping.get(id) ?? Promise.resolve();
    const gone = before.then(() => live.supervisor.stop(reason, detail));
    this.#stopping.set(id, gone);
    void gone.then(() => {
      if (this.#stopping.get(id) === gone) this.#stopping.delete(id);
    });
  }
}

const NO_PICTURE = { width: 0, height: 0, fps: 0, bitrate: 0 };
