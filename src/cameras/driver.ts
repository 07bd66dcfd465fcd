import type { Credentials } from '../contract/camera.js';
import type { Endpoint } from './addresses.js';
import type { Notice } from './event-notices.js';
import type { StreamOffer } from './pick-streams.js';

/** Identity of a device in its own words, digit by digit as it sent them. */
export interface DeviceInfo {
  make: string;
  model: string;
  firmware: string;
  serial: string;
  /** Small letters with colons; '' if the device does not tell. */
  mac: string;
}

export interface ChannelOffer {
  /** ONVIF video source token. */
  source: string;
  offers: StreamOffer[];
}

/** A device that let us in. */
export interface ConnectedDevice {
  info: DeviceInfo;
  /** The camera's clock minus the box's, ms; null if it does not tell the time. Good to about 0.5 s. */
  clockOffsetMs: number | null;
  /** SHA-256 of its TLS certificate. */
  certificate: string | undefined;
  channels: ChannelOffer[];
  /** HTTP address of a still of that profile, on the device itself. Undefined if it has none. */
  snapshotUri(profile: string): Promise<string | undefined>;
}

export interface DeviceIo {
  /** Each on the service that lists it. */
  relays: { token: string; service: 'device' | 'deviceio' }[];
  inputs: string[];
}

/** A subscription to a device's events. */
export interface EventChannel {
  /** Waits on the device's side for at most so long. */
  pull(waitMs: number): Promise<Notice[]>;
  renew(): Promise<void>;
  /** The state of everything comes with the next pull. */
  synchronise(): Promise<void>;
  /** Gives it back and hangs up; never rejects. */
  unsubscribe(): Promise<void>;
  /** Breaks a pull that runs. */
  abort(): void;
}

/** Credentials for one login; whoever gave them out wants to know when the device has let us in. */
export interface Login extends Credentials {
  accepted?: () => void;
}

/**
 * Speaks to cameras. All errors are BluelightErrors: CAMERA_UNREACHABLE, CAMERA_REFUSED (the password),
 * CAMERA_CERTIFICATE (another than the one pinned), CAMERA_INVALID.
 */
export interface CameraDriver {
  /** Whether an ONVIF device service answers there, without logging in; its clock offset if it tells. */
  greet(endpoint: Endpoint): Promise<{ clockOffsetMs: number | null; certificate: string | undefined }>;
  /** Who it is, at the price of one login. */
  identify(endpoint: Endpoint, login: Login): Promise<DeviceInfo>;
  /** Logs in at most twice, the second time only if the device's clock had moved in between. */
  connect(endpoint: Endpoint, login: Login): Promise<ConnectedDevice>;
  io(endpoint: Endpoint, login: Login): Promise<DeviceIo>;
  /** Errors also: RELAY_UNKNOWN, RELAY_STUCK. */
  setRelay(endpoint: Endpoint, login: Login, token: string, active: boolean): Promise<{ confirmed: boolean }>;
  /** Errors also: CAMERA_NO_EVENTS. */
  events(endpoint: Endpoint, login: Login): Promise<EventChannel>;
  setClock(endpoint: Endpoint, login: Login, ms: number): Promise<void>;
  /** Null: nothing had to be changed. Lengths in pictures. */
  setSubGop(
    endpoint: Endpoint,
    login: Login,
    profile: string,
    seconds: number,
  ): Promise<{ before: number; after: number } | null>;
  restoreGop(endpoint: Endpoint, login: Login, profile: string, pictures: number): Promise<void>;
}
