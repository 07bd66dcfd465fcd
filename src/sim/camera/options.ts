import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import type { Processes } from '../../base/processes.js';
import type { Codec } from '../../media/stream.js';
import type { SceneOptions, SceneTruth } from '../scene/index.js';

/** Where a camera's pictures come from: the built-in intersection or any video file that ffmpeg reads. */
export type VideoSource =
  | { kind: 'scene'; scene: SceneOptions }
  | {
      kind: 'file';
      path: string;
      /** Longest part of the file that is used, seconds (default 300). */
      maxSeconds?: number;
    };

/** How one stream is encoded. Without B-frames, like most cameras. */
export interface EncodingOptions {
  codec: Codec;
  width: number;
  height: number;
  fps: number;
  gopSeconds: number;
  /** Upper bound, kbit/s. */
  kbps: number;
}

export const DEFAULT_MAIN: EncodingOptions = {
  ...{ codec: 'h264', width: 1920, height: 1080, fps: 15, gopSeconds: 2, kbps: 2_500 },
};
export const DEFAULT_SUB: EncodingOptions = {
  ...{ codec: 'h264', width: 640, height: 360, fps: 10, gopSeconds: 1, kbps: 400 },
};

export type DigestAlgorithm = 'MD5' | 'SHA-256';

export interface LockOut {
  /** Wrong logins in a row after which nobody is let in any more. */
  after: number;
  forMs: number;
}

export interface VirtualCameraOptions {
  /** Stands in names, scopes and frame stamps; small letters, digits and dashes. */
  id: string;
  /** Own address to listen on, e.g. `127.0.0.11`. */
  address: string;
  /** 0 = any free port. Default 80 and 554 are for network namespaces; the demo uses high ports. */
  onvifPort?: number;
  rtspPort?: number;
  username: string;
  password: string;
  source: VideoSource;
  /** Seconds by which the loop is shifted, so that cameras with the same source do not show the same moment. */
  offsetSeconds?: number;
  main?: Partial<EncodingOptions>;
  /** `false`: the device has no substream. */
  sub?: Partial<EncodingOptions> | false;
  /** Order in which GetProfiles names the streams (default main first). */
  profileOrder?: 'main-first' | 'sub-first';
  /** What SOAP accepts: HTTP digest alone, WS-UsernameToken alone, or either (default). RTSP and snapshot: always digest. */
  soapAuth?: 'both' | 'digest' | 'wsse';
  digestAlgorithms?: DigestAlgorithm[];
  /** What its login challenges say (default `bluelight sim`); most makes put the serial there. */
  realm?: string;
  /** The camera's clock runs ahead by this much (negative: behind). */
  clockOffsetMs?: number;
  /** RTSP clients in all (default 16). */
  maxClients?: number;
  lockOut?: LockOut;
  /** Video sources behind this address (default 1); more than one makes it an NVR. */
  channels?: number;
  /** How RTP travels (default `tcp`): what a client asks beyond that is answered with 461. */
  transport?: 'tcp' | 'udp' | 'any';
  /** ONVIF and snapshots over TLS, with a certificate that the camera signed itself. */
  secure?: boolean;
  /** A second track with a G.711 tone (default none). */
  audio?: boolean;
  /** Relay outputs and digital inputs (default none). */
  relays?: number;
  inputs?: number;
  /**
   * The service that moves the relays (default `deviceio`). The other one: as `device`, DeviceIO is not there; as
   * `deviceio`, the device service says yes and does nothing. Both are seen in the field.
   */
  relayService?: 'device' | 'deviceio';
  /** All services but the device service are on a port of their own; 0: any free one. */
  servicesPort?: number;
  /** Its Media2 service is listed, and answers nothing but faults. */
  brokenMedia2?: boolean;
  /** False: the camera has no event service. */
  events?: boolean;
  /** Where a client's stream starts: at the next key frame (default) or at once, in the middle of a GOP. */
  join?: 'key' | 'any';
  /** Every RTP packet is a socket write of its own, as a network delivers them; default one write per picture. */
  perPacketWrites?: boolean;
  /** Bytes that may wait for a slow client before it is dropped (default 4 MB). */
  maxQueuedBytes?: number;
  /** A client that says nothing for this long is dropped (RFC 2326 §12.37; default 60). */
  sessionTimeoutSeconds?: number;
  /** Host that the device names in its service, stream and snapshot addresses, if not its own: cameras do get it wrong. */
  advertisedHost?: string;
  manufacturer?: string;
  model?: string;
  serial?: string;
  firmware?: string;
  mac?: string;
}

/** Ways in which a camera sends pictures and does not show what it should. A frozen one is among the other faults. */
export const PICTURE_FAULTS = ['dark', 'white', 'covered', 'blurred', 'turned'] as const;
export type PictureFault = (typeof PICTURE_FAULTS)[number];

/** What can be switched while the camera runs. */
export interface CameraFaults {
  /** `silent`: connections stay, nothing is sent any more. `picture`: the same picture again and again. */
  freeze: 'off' | 'silent' | 'picture';
  /** Share of RTP packets that is not sent, 0..1. */
  dropShare: number;
  clockOffsetMs: number;
  /** The password that is asked for from now on. */
  password: string;
  /** Share of discovery probes that the camera does not hear, and of its answers that get lost, 0..1. */
  discoveryLossShare: number;
  /** Beside its own answer, every probe is answered with all shapes of `hostileAnswers`. */
  hostileDiscovery: boolean;
  /** `payload`: RTP packets of noise. `wire`: noise instead of packets. */
  garbage: 'off' | 'payload' | 'wire';
  /** Every answer trickles, a byte each 250 ms. */
  slow: boolean;
  /** Pictures are stuffed to this many times their size (filler data). */
  bitrateFactor: number;
  noKeyFrames: boolean;
  /** Connections stay and new ones are taken, but nothing is read or answered any more; the end of it resets them all. */
  halfOpen: boolean;
  /** Requests are answered with a redirect to this host (HTTP 307, RTSP 302); '' for none. */
  redirectTo: string;
  /** How the event service misbehaves: HTTP 503, a flood of changes, dates that are none, no dates, lost subscriptions. */
  events: 'ok' | 'unavailable' | 'flood' | 'bad_dates' | 'no_dates' | 'forgets';
}

export const NO_FAULTS: Omit<CameraFaults, 'password'> = {
  ...{ freeze: 'off', dropShare: 0, clockOffsetMs: 0, discoveryLossShare: 0, hostileDiscovery: false },
  ...{ garbage: 'off', slow: false, bitrateFactor: 1, noKeyFrames: false, halfOpen: false, redirectTo: '' },
  events: 'ok',
};

export interface VirtualCamerasOptions {
  clock: Clock;
  processes: Processes;
  log: Log;
  /** Encoded footage is kept here and used again by later starts. */
  cacheDir: string;
  cameras: VirtualCameraOptions[];
  /** Answer WS-Discovery (UDP 3702); default true. */
  discovery?: boolean;
  /** Port on 127.0.0.1 at which faults can be switched by HTTP (see control.ts); 0: any free one; default none. */
  controlPort?: number;
}

export interface LoginCount {
  /** Logins with right credentials, and with wrong ones (or right ones while locked out). */
  accepted: number;
  refused: number;
  lockedOut: boolean;
}

export interface VirtualCamera {
  readonly id: string;
  readonly address: string;
  readonly onvifPort: number;
  readonly rtspPort: number;
  /** ONVIF device service. */
  readonly xaddr: string;
  readonly endpointReference: string;
  readonly streams: VirtualStreamInfo[];
  /** Ground truth of a scene; undefined for a file. */
  readonly truth: SceneTruth | undefined;
  /** Second of the loop that is captured at a wall time (true time, not the camera's). */
  loopSecondAt(wallMs: number): number;
  logins(): LoginCount;
  clients(): number;
  setFaults(faults: Partial<CameraFaults>): void;
  /** Power is off for `downMs`: every connection breaks, nothing answers; then it starts as after a reboot. */
  reboot(downMs: number): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Power is off for `downMs`; then the device lives at another address, as after a new DHCP lease. */
  move(address: string, downMs?: number): Promise<void>;
  /** New settings of a stream of every channel; clients see new parameter sets in the running stream. */
  changeVideo(role: 'main' | 'sub', change: Partial<EncodingOptions>): Promise<void>;
  /** From the next key frame of each stream on; resolves when the pictures are made. `undefined`: as it should be. */
  setPicture(fault: PictureFault | undefined): Promise<void>;
  /** What its sensors see, told to event subscribers. */
  setMotion(channel: number, active: boolean): void;
  setTamper(channel: number, active: boolean): void;
  setInput(input: number, active: boolean): void;
  /** Whether each relay is closed, in order. */
  relays(): boolean[];
  eventSubscriptions(): number;
}

export interface VirtualStreamInfo {
  /** As in the frame stamps: `{id}.main`; with several channels `{id}-2.main`. */
  name: string;
  role: 'main' | 'sub';
  channel: number;
  /** Without credentials. */
  uri: string;
  encoding: EncodingOptions;
}

export interface VirtualCameras {
  readonly cameras: VirtualCamera[];
  /** Undefined without `controlPort`. */
  readonly controlPort: number | undefined;
  close(): Promise<void>;
}
