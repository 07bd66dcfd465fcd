import { z } from 'zod';
import { cameraId, slug } from './primitives.js';

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
  /** ONVIF device service. */
  xaddr: z.string(),
  make: z.string(),
  model: z.string(),
  firmware: z.string(),
  serial: z.string(),
  mac: z.string(),
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
  /** Which package heard it. */
  heardBy: z.array(z.enum(['onvif', 'node-onvif'])),
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
