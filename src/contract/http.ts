import { z } from 'zod';
import { alarm } from './alarm.js';
import { camera, cameraEvent, discovered, device, deviceStatus, streamStatus } from './camera.js';
import { clip, priority } from './clip.js';
import { coverageGap, coverageSpan } from './coverage.js';
import { motionEvent } from './motion.js';
import { cameraId, rendition, streamRole, ulidText, utc } from './primitives.js';

/** Bodies of the local HTTP API (`/api/v1`). Times are UTC, sizes bytes, durations seconds, bit rates bit/s. */

/** RFC 9457, with our stable `code` (what machines act on) and `fix` (what a person does next). */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  fix: z.string().optional(),
  retryable: z.boolean(),
});
export type Problem = z.infer<typeof problem>;

export const localRole = z.enum(['technician', 'owner', 'viewer']);
export type LocalRole = z.infer<typeof localRole>;

export const loginBody = z.object({
  /** The code printed at the first start, or a password set since. */
  code: z.string().min(1).max(200),
  /** `token`: answered in the body, for programs; `cookie`: set for the page. */
  as: z.enum(['cookie', 'token']).default('cookie'),
});

export const sessionBody = z.object({
  name: z.string(),
  role: localRole,
  /** Goes back as `X-CSRF-Token` with everything that changes something. */
  csrf: z.string(),
  expiresAt: utc,
  /** Wall clock of the box: the page shows times as the box knows them. */
  now: utc,
  /** Only when the login asked for one. */
  token: z.string().optional(),
});
export type SessionBody = z.infer<typeof sessionBody>;

export const healthBody = z.object({ ok: z.boolean(), uptime: z.number() });

export const statusProblem = z.object({
  code: z.string(),
  severity: z.enum(['critical', 'warning']),
  camera: cameraId.nullable(),
  message: z.string(),
  fix: z.string(),
  since: utc.nullable(),
});

export const statusBody = z.object({
  now: utc,
  /** One word for the whole box; the reasons are in `problems`. */
  state: z.enum(['ok', 'starting', 'waiting_claim', 'problem']),
  /** `key`: public key of the box, which signs its clips and its audit log. */
  box: z.object({ site: z.string(), box: z.string(), agent: z.string(), uptime: z.number(), key: z.string() }),
  problems: z.array(statusProblem),
  streams: z.array(streamStatus),
  disk: z.object({
    state: z.string(),
    detail: z.string(),
    /** Of footage in the ring. */
    bytes: z.number(),
    quota: z.number(),
    /** Free on the disk as a whole; null if it cannot be told. */
    free: z.number().nullable(),
    /** Forecast: days of footage that the ring holds at the present rate, of the camera with the fewest. */
    days: z.number().nullable(),
    oldest: utc.nullable(),
    /** By camera: how many days back its footage will reach, and for how many of them all originals are kept. */
    forecast: z.array(z.object({ camera: cameraId, days: z.number(), originals: z.number() })),
  }),
  clock: z.object({ source: z.string(), offsetMs: z.number().nullable(), trusted: z.boolean() }),
  center: z.object({
    state: z.enum(['unclaimed', 'connecting', 'connected', 'acknowledged', 'offline']),
    id: z.string().nullable(),
    /** Last signed acknowledgement: proof that the center itself was reached. */
    ackAt: utc.nullable(),
    detail: z.string(),
  }),
  queue: z.object({ clips: z.number().int(), bytes: z.number(), outbox: z.number().int() }),
  /** Percentages 0..100; null where the host does not tell. */
  host: z.object({ cpu: z.number().nullable(), mem: z.number().nullable(), temp: z.number().nullable() }),
});
export type StatusBody = z.infer<typeof statusBody>;

export const camerasBody = z.object({ cameras: z.array(camera) });

export const discoveryBody = z.object({
  running: z.boolean(),
  finishedAt: utc.nullable(),
  devices: z.array(discovered),
});
export type DiscoveryBody = z.infer<typeof discoveryBody>;

export const addDeviceBody = z.object({
  /** Host, IP or ONVIF device service URL of the camera; or the `rtsp://` address of its main stream. */
  address: z.string().trim().min(1).max(300),
  /** Address of the substream, beside an `rtsp://` address. */
  sub: z.string().trim().max(300).optional(),
  username: z.string().max(100).default(''),
  password: z.string().max(200).default(''),
  /** Of the camera; several channels get a number behind it. Make and model if absent. */
  name: z.string().trim().min(1).max(80).optional(),
});
export type AddDeviceBody = z.infer<typeof addDeviceBody>;
export const addedDeviceBody = z.object({ device, cameras: z.array(camera) });

export const scanQuery = z.object({
  /** Also look for open RTSP and ONVIF ports in the camera subnets. */
  ports: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true'),
});
export const credentialsBody = z.object({ username: z.string().max(100), password: z.string().max(200) });
export type CredentialsBody = z.infer<typeof credentialsBody>;
export const devicesBody = z.object({ devices: z.array(deviceStatus) });
export const deviceIoBody = z.object({
  relays: z.array(z.object({ token: z.string(), service: z.enum(['device', 'deviceio']) })),
  inputs: z.array(z.string()),
});
export const relayBody = z.object({ relay: z.string().min(1).max(100), active: z.boolean() });
export type RelayBody = z.infer<typeof relayBody>;
/** `confirmed`: the camera told the state afterwards; false where it tells none. */
export const relayResultBody = z.object({ confirmed: z.boolean() });
export const tuneBody = z.object({
  /** The technician allows the box to change settings of the camera itself. */
  consent: z.literal(true),
  /** A key frame a second in the substream. */
  gop: z.boolean().default(false),
  /** The box sets the camera's clock and keeps it. */
  clock: z.boolean().default(false),
});
export type TuneBody = z.infer<typeof tuneBody>;
export const tuneResultBody = z.object({ changed: z.array(z.string()) });

export const cameraTestBody = z.object({
  ok: z.boolean(),
  steps: z.array(
    z.object({ name: z.string(), ok: z.boolean(), detail: z.string(), fix: z.string().nullable(), ms: z.number() }),
  ),
});
export type CameraTestBody = z.infer<typeof cameraTestBody>;

export const timelineBody = z.object({
  camera: cameraId,
  role: streamRole,
  from: utc,
  to: utc,
  spans: z.array(coverageSpan),
  gaps: z.array(coverageGap),
  bytes: z.number(),
  motion: z.array(motionEvent),
});
export type TimelineBody = z.infer<typeof timelineBody>;

/** Those that hold, then those that have ended, newest first. */
export const alarmsBody = z.object({ alarms: z.array(alarm) });
export type AlarmsBody = z.infer<typeof alarmsBody>;

export const motionBody = z.object({ events: z.array(motionEvent) });

/** One unbroken piece of footage: one init, decode times that run on, so one MP4 file. */
export const recordingPart = z.object({
  run: z.string(),
  from: utc,
  to: utc,
  bytes: z.number(),
  segments: z.number().int(),
  codec: z.string(),
  width: z.number().int(),
  height: z.number().int(),
});
export const recordingsBody = z.object({ camera: cameraId, role: streamRole, parts: z.array(recordingPart) });
export type RecordingsBody = z.infer<typeof recordingsBody>;

export const makeClipBody = z
  .object({
    camera: cameraId,
    from: utc,
    to: utc,
    rendition: rendition.default('original'),
    role: streamRole.default('main'),
    priority: priority.default('routine'),
    /** False: kept on the box, for the owner's own use. */
    send: z.boolean().default(false),
    reason: z.string().trim().min(1).max(500),
  })
  .refine((body) => body.from < body.to, { path: ['to'], message: 'must be later than from' });
export type MakeClipBody = z.infer<typeof makeClipBody>;

/** Footage that is kept from being overwritten. */
export const holdBody = z.object({
  id: z.string(),
  camera: cameraId,
  from: utc,
  to: utc,
  reason: z.string(),
  /** Who asked. */
  by: z.string(),
  /** By a command of the center. */
  center: z.boolean(),
  createdAt: utc,
  /** Null: until it is released. */
  expiresAt: utc.nullable(),
  /** What is recorded of it, and of the future what will be at the present rate. */
  bytes: z.number().int(),
});
export type HoldBody = z.infer<typeof holdBody>;
export const holdsBody = z.object({ holds: z.array(holdBody), bytes: z.number(), limitBytes: z.number() });
export type HoldsBody = z.infer<typeof holdsBody>;
export const makeHoldBody = z
  .object({
    camera: cameraId,
    from: utc,
    to: utc,
    until: utc.nullable().default(null),
    reason: z.string().trim().min(3).max(500),
  })
  .refine((body) => body.from < body.to, { path: ['to'], message: 'must be later than from' });
export const releaseHoldBody = z.object({ reason: z.string().trim().min(3).max(500) });

export const clipsBody = z.object({ clips: z.array(clip) });
export const queueBody = z.object({
  clips: z.array(clip),
  bytes: z.number(),
  sentBytes: z.number(),
  /** Events that wait for the center's acknowledgement. */
  outbox: z.number().int(),
});
export type QueueBody = z.infer<typeof queueBody>;

/** For how long the threads are watched. */
export const threadsQuery = z.object({ ms: z.coerce.number().int().min(100).max(8_000).default(2_000) });
/** How late the threads answer that must answer at any time, ms. */
export const threadsBody = z.object({
  threads: z.array(
    z.object({ thread: z.enum(['main', 'media']), p50Ms: z.number(), p99Ms: z.number(), maxMs: z.number() }),
  ),
});
export type ThreadsBody = z.infer<typeof threadsBody>;

/** First message of a live or playback stream, and again whenever the format changes; the init follows it. */
export const runMessage = z.object({
  type: z.literal('run'),
  run: z.string(),
  /** For `MediaSource.addSourceBuffer`. */
  mime: z.string(),
  codec: z.string(),
  width: z.number().int(),
  height: z.number().int(),
  /** Wall clock of decode time 0 of this run, ms since 1970. */
  zeroMs: z.number(),
});
export type RunMessage = z.infer<typeof runMessage>;

/** Live: the stream stopped for now; the socket stays open and a new `run` follows when it is back. */
export const pausedMessage = z.object({ type: z.literal('paused'), reason: z.string(), detail: z.string() });
/** Playback: nothing is recorded here. Footage goes on at `toMs`. */
export const gapMessage = z.object({
  type: z.literal('gap'),
  fromMs: z.number(),
  toMs: z.number(),
  reason: z.string(),
});
/** Live: why the socket is about to be closed. */
export const endMessage = z.object({ type: z.literal('end'), code: z.string(), detail: z.string() });
export const streamMessage = z.discriminatedUnion('type', [runMessage, pausedMessage, gapMessage, endMessage]);
export type StreamMessage = z.infer<typeof streamMessage>;

/** Server-sent events on `GET /events`. */
export const pageEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('status'), data: statusBody }),
  z.object({ type: z.literal('motion'), data: motionEvent }),
  z.object({ type: z.literal('clip'), data: clip }),
  z.object({ type: z.literal('alarm'), data: alarm }),
  z.object({ type: z.literal('cameras'), data: z.object({}) }),
  z.object({ type: z.literal('camera_event'), data: cameraEvent }),
]);
export type PageEvent = z.infer<typeof pageEvent>;

const range = { from: utc, to: utc };
export const rangeQuery = z
  .object({ camera: cameraId, role: streamRole.default('main'), ...range })
  .refine((query) => query.from < query.to, { path: ['to'], message: 'must be later than from' });
export type RangeQuery = z.infer<typeof rangeQuery>;
export const exportQuery = z
  .object({ camera: cameraId, role: streamRole.default('main'), ...range, run: ulidText.optional() })
  .refine((query) => query.from < query.to, { path: ['to'], message: 'must be later than from' });
export const motionQuery = z
  .object({ camera: cameraId.optional(), ...range })
  .refine((query) => query.from < query.to, { path: ['to'], message: 'must be later than from' });
/** Without `at`: the newest picture. */
export const stillQuery = z.object({ role: streamRole.default('main'), at: utc.optional() });
export const liveQuery = z.object({ camera: cameraId, role: streamRole.default('sub') });
