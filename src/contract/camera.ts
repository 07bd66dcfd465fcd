import { z } from 'zod';
import { cameraId, slug, utc } from './primitives.js';

export const cameraStream = z.object({
  /** Without credentials. */
  uri: z.string(),
  codec: z.enum(['h264', 'h265', 'other']),
  width: z.number().int().nonnegative(),
  height: z.number().int().nonnegative(),
  profile: z.string(),
});
export type CameraStream = z.infer<typeof cameraStream>;

/** One ONVIF endpoint: a camera, an encoder or an NVR. */
export const device = z.object({
  id: slug,
  /** WS-Discovery EndpointReference; the key under which answers are merged. Empty if it was added by address alone. */
  endpointReference: z.string(),
  /** Host or IP that answered. */
  address: z.string(),
  /** ONVIF device service; empty for a camera that was added by the address of its stream alone. */
  xaddr: z.string(),
  make: z.string(),
  model: z.string(),
  firmware: z.string(),
  serial: z.string(),
  mac: z.string(),
  /** SHA-256 of the TLS certificate that it showed first; another one is refused until a person accepts it. */
  certificate: z.string().optional(),
  /** What it says before any login, of a camera of which only the stream is known; hardware address, and a hash. */
  stream: z.object({ mac: z.string(), login: z.string() }).optional(),
  /** What was changed on it with a person's consent; undone when it is removed. */
  tuned: z
    .object({
      /** By profile: pictures from key frame to key frame as they were. */
      gops: z.record(z.string(), z.number().int()),
      /** The box keeps its clock. */
      clock: z.boolean(),
      /** Its clock minus true time when it was first set, ms. */
      clockOffsetMs: z.number().int().nullable(),
    })
    .optional(),
});
export type Device = z.infer<typeof device>;

/** One video source (channel) of a device, as adopted by this box. */
export const camera = z.object({
  id: cameraId,
  name: z.string().min(1).max(80),
  device,
  /** ONVIF video source token. */
  channel: z.string(),
  main: cameraStream,
  sub: cameraStream.nullable(),
  addedAt: z.number().int(),
});
export type Camera = z.infer<typeof camera>;

/** What a camera's own sensors tell. */
export const cameraEvent = z.object({
  /** Null: the device does not say which of its cameras. */
  camera: cameraId.nullable(),
  device: slug,
  kind: z.enum(['motion', 'tamper', 'input', 'relay', 'health', 'other']),
  /** As the camera names it, without prefixes: `VideoSource/MotionAlarm`. */
  topic: z.string(),
  /** Token of the video source, the input or the relay. */
  source: z.string(),
  active: z.boolean(),
  /** The state at the time of the subscription, no change. */
  initial: z.boolean(),
  at: utc,
});
export type CameraEvent = z.infer<typeof cameraEvent>;

/** Who tells of motion: the camera itself as well, or only its pictures (and why). */
export const eventSource = z.object({ by: z.enum(['camera', 'pixels']), detail: z.string() });
export type EventSource = z.infer<typeof eventSource>;

/** How the box stands with a device. */
export const deviceStatus = z.object({
  device,
  cameras: z.array(cameraId),
  /** `auth_failed`: no login is tried until it gets another password; `lost`: looked for. */
  link: z.enum(['ok', 'auth_failed', 'lost']),
  detail: z.string(),
  fix: z.string(),
  events: eventSource,
});
export type DeviceStatus = z.infer<typeof deviceStatus>;

/** Sealed in state.db; in memory only with those who log in to the camera. */
export interface Credentials {
  username: string;
  password: string;
}

export const discovered = z.object({
  endpointReference: z.string(),
  address: z.string(),
  xaddrs: z.array(z.string()),
  name: z.string(),
  hardware: z.string(),
  /** Interface on which it answered. */
  interface: z.string(),
  adopted: z.boolean(),
  /** False: it answered, but from an address that no interface of the box can reach. */
  reachable: z.boolean(),
  /** Which package heard it; `scan`: it answered none, but has an RTSP port. */
  heardBy: z.array(z.enum(['onvif', 'node-onvif', 'scan'])),
});
export type Discovered = z.infer<typeof discovered>;

export const streamHealth = z.enum([
  'starting',
  'recording',
  'offline',
  'auth_failed',
  'stalled',
  'invalid',
  'disabled',
]);
export type StreamHealth = z.infer<typeof streamHealth>;

/** Live state of one stream, as shown in status and heartbeat. `ageMs` counts from the last byte committed to disk. */
export const streamStatus = z.object({
  stream: z.string(),
  camera: cameraId,
  role: z.enum(['main', 'sub']),
  state: streamHealth,
  detail: z.string(),
  engine: z.enum(['native', 'ffmpeg']).nullable(),
  width: z.number(),
  height: z.number(),
  fps: z.number(),
  bitrate: z.number(),
  ageMs: z.number().nullable(),
});
export type StreamStatus = z.infer<typeof streamStatus>;
