import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import type { Timed } from './clip.js';
import { SNAPSHOT_SECONDS, type Footage } from './footage.js';
import { EventService, type Property } from './event-service.js';
import { LiveStream } from './live-stream.js';
import { DigestServer, LoginGuard } from './login.js';
import { inputToken, relayToken, scopesOf, sourceToken, type DeviceFacts, type ProfileFacts } from './onvif-answers.js';
import { OnvifServer } from './onvif-server.js';
import type {
  CameraFaults,
  EncodingOptions,
  LoginCount,
  PictureFault,
  VirtualCamera,
  VirtualCameraOptions,
  VirtualStreamInfo,
} from './options.js';
import { NO_FAULTS } from './options.js';
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
  /** Key and certificate of a camera that speaks TLS, made anew for an address. */
  certificate: (address: string) => Promise<string>;
  /** Footage of this camera in another encoding, or spoiled. */
  encode: (role: 'main' | 'sub', encoding: EncodingOptions, fault: PictureFault | undefined) => Promise<Timed>;
  /** After the device has taken another address. */
  moved: () => Promise<void>;
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
  readonly endpointReference: string;
  readonly scopes: string[];
  readonly #channels: Channel[];
  readonly #faults: CameraFaults;
  readonly #guard: LoginGuard;
  readonly #rtsp: RtspServer;
  readonly #onvif: OnvifServer;
  readonly #events: EventService;
  readonly #relays: boolean[];
  #address: string;
  #certificate: string | undefined;
  #awake = false;
  #fault: PictureFault | undefined;

  constructor(
    private readonly options: VirtualCameraOptions,
    private readonly parts: CameraParts,
  ) {
    const { clock } = parts;
    this.id = options.id;
    this.#address = options.address;
    this.#relays = Array.from({ length: options.relays ?? 0 }, () => false);
    this.endpointReference = `urn:uuid:${stableUuid(options.id, options.address)}`;
    this.#faults = { ...NO_FAULTS, clockOffsetMs: options.clockOffsetMs ?? 0, password: options.password };
    const monotonic = (): number => clock.monotonic();
    this.#guard = new LoginGuard(options.username, () => this.#faults.password, options.lockOut, monotonic);
    const digest = new DigestServer(
      options.realm ?? 'bluelight sim',
      options.digestAlgorithms ?? ['MD5'],
      this.#guard,
      monotonic,
    );
    this.#channels = Array.from({ length: options.channels ?? 1 }, (_, i) => this.#channel(i + 1));
    this.#rtsp = new RtspServer({
      clock,
      log: parts.log,
      faults: this.#faults,
      address: () => this.#address,
      port: options.rtspPort ?? 554,
      digest,
      streams: new Map(this.#channels.flatMap((c) => c.streams.map((s) => [s.path, s.live] as const))),
      maxClients: options.maxClients ?? DEFAULT_MAX_CLIENTS,
      transport: options.transport ?? 'tcp',
      join: options.join ?? 'key',
      perPacketWrites: options.perPacketWrites ?? false,
      maxQueuedBytes: options.maxQueuedBytes ?? DEFAULT_QUEUE_BYTES,
      sessionTimeoutSeconds: options.sessionTimeoutSeconds ?? DEFAULT_SESSION_S,
    });
    const facts = this.#facts();
    this.scopes = scopesOf(facts);
    this.#events = new EventService(
      clock,
      this.#faults,
      facts.nowMs,
      (path) => `${this.#base(this.#onvif.servicesPort)}${path}`,
    );
    this.#sense();
    this.#onvif = new OnvifServer({
      clock,
      address: () => this.#address,
      port: options.onvifPort ?? 80,
      servicesPort: options.servicesPort,
      brokenMedia2: options.brokenMedia2 ?? false,
      certificate: () => this.#certificate,
      facts,
      faults: this.#faults,
      events: this.#events,
      guard: this.#guard,
      digest,
      soapAuth: options.soapAuth ?? 'both',
      snapshot: (channel) => this.#snapshot(channel),
    });
  }

  get address(): string {
    return this.#address;
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

  hostileDiscovery(): boolean {
    return this.#faults.hostileDiscovery;
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
    const wasHalfOpen = this.#faults.halfOpen;
    Object.assign(this.#faults, faults);
    if (!wasHalfOpen || this.#faults.halfOpen) return;
    this.#rtsp.reset();
    this.#onvif.reset();
  }

  relays(): boolean[] {
    return [...this.#relays];
  }

  eventSubscriptions(): number {
    return this.#events.subscriptions;
  }

  setMotion(channel: number, active: boolean): void {
    this.#events.set(motionOf(channel, active));
  }

  setTamper(channel: number, active: boolean): void {
    this.#events.set(tamperOf(channel, active));
  }

  setInput(input: number, active: boolean): void {
    this.#events.set(inputOf(input, active));
  }

  async start(): Promise<void> {
    if (this.#awake) return;
    this.#awake = true;
    if (this.options.secure === true) this.#certificate ??= await this.parts.certificate(this.#address);
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
    this.#events.clear();
    await Promise.all([this.#rtsp.stop(), this.#onvif.stop()]);
  }

  async reboot(downMs: number): Promise<void> {
    await this.stop();
    await this.parts.clock.sleep(downMs);
    await this.start();
  }

  async move(address: string, downMs = 0): Promise<void> {
    await this.stop();
    await this.parts.clock.sleep(downMs);
    this.#address = address;
    await this.parts.moved();
    await this.start();
  }

  async changeVideo(role: 'main' | 'sub', change: Partial<EncodingOptions>): Promise<void> {
    for (const { live, role: own } of this.#channels.flatMap((c) => c.streams)) {
      if (own !== role) continue;
      const timed = await this.parts.encode(role, { ...live.encoding, ...change }, this.#fault);
      this.parts.pacer.remove(live);
      live.change(timed);
      if (this.#awake) this.parts.pacer.add(live, this.parts.originMono);
    }
  }

  async setPicture(fault: PictureFault | undefined): Promise<void> {
    this.#fault = fault;
    for (const { live, role } of this.#channels.flatMap((c) => c.streams)) {
      const timed = await this.parts.encode(role, live.encoding, fault);
      // Somebody may have wanted another one meanwhile.
      if (this.#fault === fault) live.show(timed);
    }
  }

  /** What the sensors see at the start. */
  #sense(): void {
    for (const { number } of this.#channels) {
      this.#events.set(motionOf(number, false));
      this.#events.set(tamperOf(number, false));
    }
    for (let i = 1; i <= (this.options.inputs ?? 0); i++) this.#events.set(inputOf(i, false));
    this.#relays.forEach((closed, i) => this.#events.set(relayOf(i + 1, closed)));
  }

  #setRelay(index: number, closed: boolean): void {
    this.#relays[index] = closed;
    this.#events.set(relayOf(index + 1, closed));
  }

  #channel(number: number): Channel {
    const { main, sub } = this.parts;
    const many = (this.options.channels ?? 1) > 1;
    const name = many ? `${this.id}-${String(number)}` : this.id;
    const offset = (this.options.offsetSeconds ?? 0) + (number - 1) * 7;
    const live = (role: 'main' | 'sub', from: typeof main): Channel['streams'][number] => ({
      role,
      path: many ? `/ch${String(number)}/${role}` : `/${role}`,
      live: new LiveStream({
        name: `${name}.${role}`,
        timed: from,
        offsetSeconds: offset,
        audio: this.options.audio ?? false,
        faults: this.#faults,
        random: Math.random,
      }),
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
          get encoding() {
            return live.encoding;
          },
          change: (change) => this.changeVideo(role, change),
          streamUri: () => this.#streamUri(path),
          snapshotUri: () => `${this.#base()}/snapshot/${String(number)}`,
        })),
    );
    const hash = createHash('sha256').update(`${options.id} ${options.address}`).digest('hex');
    return {
      id: options.id,
      address: () => this.#address,
      manufacturer: options.manufacturer ?? 'bluelight',
      model: options.model ?? 'sim-camera',
      firmware: options.firmware ?? '1.10',
      serial: options.serial ?? `2023${String(parseInt(hash.slice(0, 12), 16)).padStart(16, '0')}`,
      mac: options.mac ?? `02:${hash.slice(0, 10).match(/../g)!.join(':')}`,
      base: () => this.#base(),
      servicesBase: () => this.#base(this.#onvif.servicesPort),
      profiles,
      nowMs: () => this.parts.clock.now() + this.#faults.clockOffsetMs,
      setClock: (ms) => void (this.#faults.clockOffsetMs = ms - this.parts.clock.now()),
      relays: this.#relays,
      inputs: options.inputs ?? 0,
      relayService: options.relayService ?? 'deviceio',
      events: options.events ?? true,
      setRelay: (index, closed) => this.#setRelay(index, closed),
    };
  }

  #base(port = this.#onvif.port): string {
    const scheme = this.options.secure === true ? 'https' : 'http';
    return `${scheme}://${this.#advertised()}:${String(port)}`;
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

function stateOf(topic: string, source: [string, string], name: string, active: boolean): Property {
  return { topic, source, data: [name, active ? 'true' : 'false'] };
}

function motionOf(channel: number, active: boolean): Property {
  return stateOf('tns1:VideoSource/MotionAlarm', ['Source', sourceToken(channel)], 'State', active);
}

function tamperOf(channel: number, active: boolean): Property {
  const source: [string, string] = ['VideoSourceConfigurationToken', `config_${sourceToken(channel)}`];
  return stateOf('tns1:RuleEngine/TamperDetector/Tamper', source, 'IsTamper', active);
}

function inputOf(input: number, active: boolean): Property {
  return stateOf('tns1:Device/Trigger/DigitalInput', ['InputToken', inputToken(input)], 'LogicalState', active);
}

function relayOf(relay: number, closed: boolean): Property {
  const data: [string, string] = ['LogicalState', closed ? 'active' : 'inactive'];
  return { topic: 'tns1:Device/Trigger/Relay', source: ['RelayToken', relayToken(relay)], data };
}

/** The same device keeps its EndpointReference over restarts. */
function stableUuid(...parts: string[]): string {
  const hex = createHash('sha256').update(parts.join('\0')).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
