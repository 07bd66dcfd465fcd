/**
 * What every engine of ingest produces and the ring, motion and live view consume.
 * They do not know which engine made it.
 */

/** Ticks per second of every decode and presentation time: the RTP clock of video (RFC 6184 §5.1, RFC 7798 §4.1). */
export const TIMESCALE = 90_000;

export type Codec = 'h264' | 'h265';

export interface VideoFormat {
  codec: Codec;
  width: number;
  height: number;
  /** RFC 6381, for `MediaSource.isTypeSupported`: `avc1.64001f`, `hvc1.1.6.L93.B0`. */
  codecString: string;
  /** Without start codes or lengths. H.264: SPS, PPS. H.265: VPS, SPS, PPS. */
  parameterSets: Uint8Array[];
}

/**
 * One encoded picture. `data` holds its NAL units verbatim, each behind a 4-byte big-endian length. They are valid while
 * the picture is handed over; whoever keeps them copies them.
 */
export interface AccessUnit {
  data: Uint8Array;
  key: boolean;
  /** Ticks since the start of the run. */
  dts: number;
  pts: number;
  /** Ticks until the next access unit of the stream. */
  duration: number;
  /** Wall clock of the box at capture as well as it is known, ms since 1970. */
  wallMs: number;
  /** The same moment on `Clock.monotonic` of the box: no step of the wall clock changes it. */
  monoMs: number;
}

/** One `moof` + `mdat` of at most 1 s. It starts at a key frame if `key`; it never has one inside. */
export interface Fragment {
  /** Position in the run, from 0; `mfhd.sequence_number` is this + 1. */
  index: number;
  key: boolean;
  /** Ticks since the start of the run (`tfdt`). */
  decodeTime: number;
  duration: number;
  frames: number;
  wallMs: number;
  monoMs: number;
  bytes: Uint8Array;
}

export type StreamRole = 'main' | 'sub';

/** An unbroken recording of a stream starts. A new format is a new run. */
export interface RunStart {
  /** `{cameraId}.main` or `{cameraId}.sub`. */
  stream: string;
  camera: string;
  role: StreamRole;
  /** ULID */
  run: string;
  engine: 'native' | 'ffmpeg';
  format: VideoFormat;
  /** `ftyp` + `moov` */
  init: Uint8Array;
  wallMs: number;
  monoMs: number;
}

/** Why a stream is not being recorded. Stable words: they stand in coverage answers. */
export type GapReason =
  | 'starting'
  | 'camera_offline'
  | 'camera_refused'
  | 'stream_stalled'
  | 'stream_invalid'
  | 'stream_lost_packets'
  | 'format_changed'
  | 'disk_slow'
  | 'disk_full'
  | 'disk_failed'
  | 'agent_stopped'
  | 'agent_crashed'
  | 'paused'
  | 'unknown';

/** What ingest tells the world, in order per stream: run, fragments, end of the run with its reason. */
export interface StreamSink {
  run(start: RunStart): void;
  accessUnit(stream: string, unit: AccessUnit): void;
  /** The memory of the fragment belongs to the sink from now on. */
  fragment(stream: string, run: string, fragment: Fragment): void;
  /** The run is over; nothing is recorded until the next `run`. */
  runEnd(stream: string, run: string | undefined, reason: GapReason, detail: string): void;
}
