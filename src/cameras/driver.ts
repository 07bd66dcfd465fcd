import type { Credentials } from '../contract/camera.js';
import type { Endpoint } from './addresses.js';
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
  channels: ChannelOffer[];
  /** HTTP address of a still of that profile, on the device itself. Undefined if it has none. */
  snapshotUri(profile: string): Promise<string | undefined>;
}

/** Speaks to cameras. All errors are BluelightErrors: CAMERA_UNREACHABLE, CAMERA_REFUSED (the password), CAMERA_INVALID. */
export interface CameraDriver {
  /** Whether an ONVIF device service answers there, without logging in; its clock offset if it tells. */
  greet(endpoint: Endpoint): Promise<{ clockOffsetMs: number | null }>;
  /** Logs in at most twice, the second time only if the device's clock had moved in between. */
  connect(endpoint: Endpoint, credentials: Credentials): Promise<ConnectedDevice>;
}
