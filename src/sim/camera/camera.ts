import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import type { Timed } from './clip.js';
import { SNAPSHOT_SECONDS, type Footage } from './footage.js';
import { LiveStream } from './live-stream.js';
import { DigestServer, LoginGuard } from './login.js';
import { scopesOf, type DeviceFacts, type ProfileFacts } from './onvif-answers.js';
import { OnvifServer } from './onvif-server.js';
import type { CameraFaults, LoginCount, VirtualCamera, VirtualCameraOptions, VirtualStreamInfo } from './options.js';
import type { Pacer } from './pacer.js';
import { RtspServer } from './rtsp-server.js';

export interface CameraParts {
  clock: Clock;
  log: Log;
  pacer: Pacer;
  footage: Footage;
  main: Timed;
  sub: Timed | undefined;
  /** Monotonic ms at which frame 0 of every stream is captured. */
  originMono: number;
}

interface Channel {
  number: number;
  streams: { role: 'main' | 'sub'; path: string; live: LiveStream }[];
}

const DEFAULT_MAX_CLIENTS = 16;
const DEFAULT_QUEUE_BYTES = 4 * 1024 * 1024;
const DEFAULT_SESSION_S = 60;

/** One device: its streams, its RTSP and ONVIF servers and its faults. */
export class Device implements VirtualCamera {
  readonly id: string;
  readonly address: string;
  readonly endpointReference: string;
  readonly scopes: string[];
  readonly #channels: Channel[];
  readonly #faults: CameraFaults;
  readonly #guard: LoginGuard;
  readonly #rtsp: RtspServer;
  readonly #onvif: OnvifServer;
  #awake = false;

  constructor(
    private readonly options: VirtualCameraOptions,
    private readonly parts: CameraParts,
  ) {
    const { clock } = parts;
    this.id = options.id;
    this.address = options.address;
    this.endpointReference = `urn:uuid:${stableUuid(options.id, options.address)}`;
    this.#faults = {
      freeze: 'off',
      dropShare: 0,
      clockOffsetMs: options.clockOffsetMs ?? 0,
      password: options.password,
      discoveryLossShare: 0,
    };
    const monotonic = (): number => clock.monotonic();
    this.#guard = new LoginGuard(options.username, () => this.#faults.password, options.lockOut, monotonic);
    const digest = new DigestServer('bluelight sim', options.digestAlgorithms ?? ['MD5'], this.#guard, monotonic);
    this.#channels = Array.from({ length: options.channels ?? 1 }, (_, i) => this.#channel(i + 1));
    this.#rtsp = new RtspServer({
      clock,
      log: parts.log,
      address: options.address,
      port: options.rtspPort ?? 554,
      digest,
      streams: new Map(this.#channels.flatMap((c) => c.streams.map((s) => [s.path, s.live] as const))),
      maxClients: options.maxClients ?? DEFAULT_MAX_CLIENTS,
      join: options.join ?? 'key',
      perPacketWrites: options.perPacketWrites ?? false,
      maxQueuedBytes: options.maxQueuedBytes ?? DEFAULT_QUEUE_BYTES,
      sessionTimeoutSeconds: options.sessionTimeoutSeconds ?? DEFAULT_SESSION_S,
    });
    const facts = this.#facts();
    this.scopes = scopesOf(facts);
    this.#onvif = new OnvifServer({
      address: options.address,
      port: options.onvifPort ?? 80,
      facts,
      guard: this.#guard,
      digest,
      soapAuth: options.soapAuth ?? 'both',
      snapshot: (channel) => this.#snapshot(channel),
    });
  }

  get onvifPort(): number {
    return this.#onvif.port;
  }

  get rtspPort(): number {
    return this.#rtsp.port;
  }

  get xaddr(): string {
    return `${this.#base()}/onvif/device_service`;
  }

  get truth(): VirtualCamera['truth'] {
    return this.parts.footage.truth;
  }

  get streams(): VirtualStreamInfo[] {
    return this.#channels.flatMap(({ number, streams }) =>
      streams.map(({ role, path, live }) => ({
        name: live.name,
        role,
        channel: number,
        uri: this.#streamUri(path),
        encoding: live.encoding,
      })),
    );
  }

  awake(): boolean {
    return this.#awake;
  }

  discoveryLossShare(): number {
    return this.#faults.discoveryLossShare;
  }

  loopSecondAt(wallMs: number): number {
    const { pacer, originMono, clock } = this.parts;
    const mono = clock.monotonic();
    const sinceStart = (wallMs - pacer.wallAt(mono) + mono - originMono) / 1000;
    const loop = this.#loopSeconds();
    return (((sinceStart + (this.options.offsetSeconds ?? 0)) % loop) + loop) % loop;
  }

  logins(): LoginCount {
    return this.#guard.counts();
  }

  clients(): number {
    return this.#rtsp.clients;
  }

  setFaults(faults: Partial<CameraFaults>): void {
    Object.assign(this.#faults, faults);
  }

  async start(): Promise<void> {
    if (this.#awake) return;
    this.#awake = true;
    await this.#rtsp.start();
    await this.#onvif.start();
    for (const { live } of this.#channels.flatMap((c) => c.streams)) {
      live.restart();
      this.parts.pacer.add(live, this.parts.originMono);
    }
  }

  async stop(): Promise<void> {
    if (!this.#awake) return;
    this.#awake = false;
    for (const { live } of this.#channels.flatMap((c) => c.streams)) this.parts.pacer.remove(live);
    await Promise.all([this.#rtsp.stop(), this.#onvif.stop()]);
  }

  async reboot(downMs: number): Promise<void> {
    await this.stop();
    await this.parts.clock.sleep(downMs);
    await this.start();
  }

  #channel(number: number): Channel {
    const { main, sub } = this.parts;
    const many = (this.options.channels ?? 1) > 1;
    const name = many ? `${this.id}-${String(number)}` : this.id;
    const offset = (this.options.offsetSeconds ?? 0) + (number - 1) * 7;
    const live = (role: 'main' | 'sub', from: typeof main): Channel['streams'][number] => ({
      role,
      path: many ? `/ch${String(number)}/${role}` : `/${role}`,
      live: new LiveStream(
        `${name}.${role}`,
        from.clip,
        from.encoding,
        Math.round(offset * from.encoding.fps),
        this.#faults,
        Math.random,
      ),
    });
    return { number, streams: [live('main', main), ...(sub === undefined ? [] : [live('sub', sub)])] };
  }

  #facts(): DeviceFacts {
    const { options } = this;
    const order = options.profileOrder === 'sub-first' ? ['sub', 'main'] : ['main', 'sub'];
    const profiles = this.#channels.flatMap(({ number, streams }) =>
      [...streams]
        .sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role))
        .map(({ role, path, live }): ProfileFacts => ({
          token: `profile_${String(number)}_${role}`,
          channel: number,
          role,
          encoding: live.encoding,
          streamUri: () => this.#streamUri(path),
          snapshotUri: () => `${this.#base()}/snapshot/${String(number)}`,
        })),
    );
    const hash = createHash('sha256').update(`${options.id} ${options.address}`).digest('hex');
    return {
      id: options.id,
      address: options.address,
      manufacturer: options.manufacturer ?? 'bluelight',
      model: options.model ?? 'sim-camera',
      firmware: options.firmware ?? '1.10',
      serial: options.serial ?? `2023${String(parseInt(hash.slice(0, 12), 16)).padStart(16, '0')}`,
      mac: options.mac ?? `02:${hash.slice(0, 10).match(/../g)!.join(':')}`,
      base: () => this.#base(),
      profiles,
      nowMs: () => this.parts.clock.now() + this.#faults.clockOffsetMs,
    };
  }

  #base(): string {
    return `http://${this.#advertised()}:${String(this.#onvif.port)}`;
  }

  #streamUri(path: string): string {
    return `rtsp://${this.#advertised()}:${String(this.#rtsp.port)}${path}`;
  }

  #advertised(): string {
    return this.options.advertisedHost ?? this.address;
  }

  #loopSeconds(): number {
    const { clip, encoding } = this.parts.main;
    return clip.units.length / encoding.fps;
  }

  #snapshot(channel: number): Uint8Array | undefined {
    const { footage, clock } = this.parts;
    if (channel < 1 || channel > this.#channels.length || footage.snapshots.length === 0) return undefined;
    const second = this.loopSecondAt(clock.now()) + (channel - 1) * 7;
    return footage.snapshots[Math.floor(second / SNAPSHOT_SECONDS) % footage.snapshots.length];
  }
}

/** The same device keeps its EndpointReference over restarts. */
function stableUuid(...parts: string[]): string {
  const hex = createHash('sha256').update(parts.join('\0')).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
