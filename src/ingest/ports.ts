import type { Clock } from '../base/clock.js';
import type { Log, Redactor } from '../base/log.js';
import type { Processes } from '../base/processes.js';
import type { StreamStatus } from '../contract/camera.js';
import type { BufferPool } from '../media/buffers.js';
import type { Codec, StreamRole, StreamSink } from '../media/stream.js';
import type { SourceUrl } from './source.js';

export type EngineName = 'native' | 'ffmpeg';

/** One stream of a camera as it is to be recorded. Audio is never asked for. */
export interface IngestStream {
  role: StreamRole;
  /** `rtsp://host[:port]/path`; credentials in it are ignored. */
  uri: string;
  /** `auto` (default): native, and ffmpeg where native cannot speak to the camera. */
  engine?: EngineName | 'auto';
}

export interface IngestCamera {
  id: string;
  username: string;
  password: string;
  streams: IngestStream[];
}

/** State of a stream without the age of its last byte on disk, which only the ring knows. */
export type IngestStatus = Omit<StreamStatus, 'ageMs'>;

/** What a camera may send before it is cut off, and how long it may be silent. */
export interface IngestLimits {
  /** Over five seconds, whatever the stream; what is usual for it sets its own limit below (`rateLimit`). */
  maxBytesPerSecond: number;
  maxAccessUnitBytes: number;
  /** From the start of a session to its first picture. */
  firstPictureMs: number;
  /** Silence that is a stall while the frame rate is not known yet. */
  stallMs: number;
  /** Without a key frame although pictures come. */
  noKeyMs: number;
}

export const DEFAULT_LIMITS: IngestLimits = {
  maxBytesPerSecond: 12_500_000,
  maxAccessUnitBytes: 8 * 1024 * 1024,
  firstPictureMs: 15_000,
  stallMs: 10_000,
  noKeyMs: 10_000,
};

/** Whether a camera's streams may be opened now, and if not why. */
export type Admission =
  { ok: true } | { ok: false; detail: string; /** Because it refused its password. */ held?: true };

export interface IngestDeps {
  clock: Clock;
  processes: Processes;
  log: Log;
  redactor: Redactor;
  sink: StreamSink;
  /** 0 <= x < 1, for the spread of retries. */
  random?: () => number;
  limits?: Partial<IngestLimits>;
  /** Addresses of cameras that may be given their password readable by everybody (RTSP Basic), if they want nothing else. */
  basicLogin?: readonly string[];
  /** Length of fragments, ms. */
  fragmentMs?: number;
  /** Where fragments get their memory from, if somebody gives it back. */
  pool?: BufferPool;
  onStatus?: (status: IngestStatus) => void;
  /** Asked before every session: after an outage another camera may have the address. With the end of the last session. */
  admit?: (camera: string, sinceMono: number) => Promise<Admission>;
  /** The camera refused the credentials with this print: whoever else logs in to it with them must stop too. */
  onRefused?: (camera: string, login: string) => void;
}

/** Where an engine gets its stream from. */
export interface EngineSource {
  stream: string;
  url: SourceUrl;
  username: string;
  password: string;
  /** Whether the password may be sent readable by everybody on the way, if the camera wants nothing else. */
  allowBasic?: boolean;
}

/** One encoded picture as an engine hands it over; it holds for one stream and in decoding order. */
export interface RawPicture {
  /** NAL units as the camera sent them, each behind a 4-byte big-endian length. Valid during the call only. */
  data: Uint8Array;
  /** Ticks of any origin that holds for the session; not wrapped. */
  dts: number;
  pts: number;
  /** `Clock.monotonic` at which it arrived at the box, as well as the engine knows. */
  arrivedMs: number;
  /** Wall time at capture by the camera's clock (RTCP sender report), ms since 1970, if it tells. */
  cameraWallMs?: number;
}

/** What an engine tells while a session lasts. */
export interface EngineEvents {
  /** The camera let us in. */
  accepted(): void;
  /** Parameter sets known from the session's description; those inside the stream overrule them. */
  parameterSets(codec: Codec, sets: Uint8Array[]): void;
  picture(picture: RawPicture): void;
  /** Bytes that came from the camera, whether or not pictures came out of them. */
  received(bytes: number): void;
  /** Pictures are missing or damaged from here on; what follows is usable from the next key frame. */
  lost(detail: string): void;
}

/**
 * Why a session ended. `refused`: the password; `unsupported`: this engine cannot speak to this camera, another may;
 * `unfit`: only other settings of the camera itself help; `broken`: the engine itself failed.
 */
export type EndCause = 'stopped' | 'refused' | 'offline' | 'stalled' | 'invalid' | 'unsupported' | 'unfit' | 'broken';

export interface EngineEnd {
  cause: EndCause;
  detail: string;
}

export interface EngineSession {
  /** Settles once, after the last event. Never rejects. */
  readonly ended: Promise<EngineEnd>;
  /** Ends the session politely; `ended` then settles with `stopped`. */
  stop(): void;
}

export interface Engine {
  readonly name: EngineName;
  open(source: EngineSource, events: EngineEvents): EngineSession;
}
