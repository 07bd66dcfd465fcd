import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log, Redactor } from '../base/log.js';
import type {
  Camera,
  CameraEvent,
  Credentials,
  Device,
  DeviceStatus,
  Discovered,
  EventSource,
} from '../contract/camera.js';
import type { AddDeviceBody, CameraTestBody, DiscoveryBody, RelayBody, TuneBody } from '../contract/http.js';
import { toUtc } from '../contract/primitives.js';
import { cameraInterfaces, type CameraInterface, type HostInterfaces } from './addresses.js';
import type { Admission } from './admission.js';
import { checkCamera } from './check.js';
import { CameraDesk, type DeskState } from './desk.js';
import { CameraDiscovery, referenceKey } from './discovery.js';
import type { CameraDriver, DeviceIo } from './driver.js';
import { onvifDriver } from './onvif-driver.js';
import { Keeper } from './keeper.js';
import type { CameraTable, CredentialTable, HeldTable } from './ports.js';
import { scanSubnets } from './port-scan.js';
import { Tuning } from './tuning.js';

export type { CameraTable, CredentialTable } from './ports.js';
export type { Admission } from './admission.js';

export interface CamerasDeps {
  clock: Clock;
  log: Log;
  redactor: Redactor;
  cameras: CameraTable;
  credentials: CredentialTable;
  /** Without it a restart forgets which devices refused us. */
  held?: HeldTable;
  /** Interface names or addresses on which cameras are; empty: all but the default route's. */
  interfaces: readonly string[];
  allowLoopback: boolean;
  /** Addresses of cameras that may be given their password readable (Basic). */
  basicLogin?: readonly string[];
  /** Resolves a host name to an IP address; the caller decides how (default: IP addresses only). */
  resolve?: (host: string) => Promise<string>;
  /** After every change of the adopted cameras or their credentials. */
  onChanged?: (cameras: Camera[]) => void;
  /** A device refused its password: every other login to these cameras must stop. */
  onRefused?: (cameras: string[], login: string) => void;
  /** What the cameras' own sensors tell; without it they are not asked. */
  onEvent?: (event: CameraEvent) => void;
  /** Whether a device tells of motion by itself, as it changes. */
  onSource?: (device: string, source: EventSource) => void;
  driver?: CameraDriver;
  /** The host's interfaces, routes and neighbours, instead of the real ones. */
  network?: () => { host: HostInterfaces; routes: string; arp: string };
}

export function createCameras(deps: CamerasDeps): Cameras {
  return new Cameras(deps);
}

/** Finding, adopting, checking and keeping cameras. One instance per box. */
export class Cameras {
  readonly #desk: CameraDesk;
  readonly #keeper: Keeper;
  readonly #tuning: Tuning;
  readonly #discovery: CameraDiscovery;
  readonly #state: DeskState = { found: [] };
  #finishedAt: string | null = null;
  #scanning: Promise<void> | undefined;

  constructor(private readonly deps: CamerasDeps) {
    const driver = deps.driver ?? onvifDriver(deps.clock, deps.log);
    const changed = async (): Promise<void> => {
      const cameras = await deps.cameras.list();
      deps.onChanged?.(cameras);
      await this.#keeper.follow(cameras);
    };
    this.#discovery = new CameraDiscovery(deps);
    const arp = (): string => (deps.network ?? realNetwork)().arp;
    this.#desk = new CameraDesk({ ...deps, driver, arp, changed }, this.#state);
    this.#tuning = new Tuning({ clock: deps.clock, log: deps.log, driver, desk: this.#desk });
    const { clock, log, onEvent, onSource } = deps;
    const look = (): ReturnType<CameraDiscovery['look']> => this.#discovery.look(this.interfaces());
    this.#keeper = new Keeper({ clock, log, driver, desk: this.#desk, look, arp, onEvent, onSource });
  }

  list(): Promise<Camera[]> {
    return this.deps.cameras.list();
  }

  /** Takes up what was known before the last stop. To be awaited before anything logs in to a camera. */
  restore(): Promise<void> {
    return this.#desk.restore();
  }

  /** Begins to keep the adopted cameras: their events, and whoever gets lost. */
  async start(): Promise<void> {
    await this.#keeper.follow(await this.list());
  }

  async stop(): Promise<void> {
    await this.#keeper.stop();
  }

  /** The interfaces on which cameras are looked for now. */
  interfaces(): CameraInterface[] {
    const { host, routes } = (this.deps.network ?? realNetwork)();
    return cameraInterfaces({ host, routes, wanted: this.deps.interfaces, allowLoopback: this.deps.allowLoopback });
  }

  /** Starts a search, or joins the one that runs. Its result is in `discovered`. */
  scan(options: { ports?: boolean } = {}): Promise<void> {
    if (this.#scanning === undefined) void this.discover(options).catch((error: unknown) => this.#scanFailed(error));
    return Promise.resolve();
  }

  /**
   * Searches and gives what was found, in at most 10 s. With `ports` the camera subnets are also searched for open
   * ONVIF and RTSP ports, for cameras that answer no discovery; that takes longer.
   */
  async discover(options: { ports?: boolean } = {}): Promise<Discovered[]> {
    this.#scanning ??= this.#scanOnce(options.ports ?? false);
    await this.#scanning;
    return (await this.discovered()).devices;
  }

  async discovered(): Promise<DiscoveryBody> {
    const adopted = await this.list();
    const devices = this.#state.found.map((one) => ({ ...one, adopted: isAdopted(one, adopted) }));
    return { running: this.#scanning !== undefined, finishedAt: this.#finishedAt, devices };
  }

  /**
   * Adopts a device with all its channels, or takes over new settings and credentials of one that is known; or a
   * camera by the address of its stream (`rtsp://`).
   * Errors: CAMERA_ADDRESS, CAMERA_UNREACHABLE, CAMERA_REFUSED, CAMERA_LOGIN_HELD, CAMERA_NO_STREAMS, CAMERA_INVALID.
   */
  add(request: AddDeviceBody): Promise<{ device: Device; cameras: Camera[] }> {
    return this.#desk.add(request, undefined);
  }

  /** Puts a new device in the place of a camera, which keeps its id, name, zones and history. Errors as for `add`. */
  async replace(id: string, request: AddDeviceBody): Promise<{ device: Device; cameras: Camera[] }> {
    return this.#desk.add(request, await this.#desk.get(id));
  }

  /** Gives a camera's device other credentials, once they have been seen to work. Errors as for `add`. */
  password(id: string, credentials: Credentials): Promise<void> {
    return this.#desk.password(id, credentials);
  }

  /** Accepts the certificate that a camera's device shows now. Errors: CAMERA_UNREACHABLE, CAMERA_PLAIN. */
  trust(id: string): Promise<Device> {
    return this.#desk.trust(id);
  }

  /** @throws BluelightError CAMERA_UNKNOWN, CAMERA_LOGIN_HELD */
  async test(id: string): Promise<CameraTestBody> {
    const camera = await this.#desk.get(id);
    const credentials = await this.credentialsOf(id);
    const { login, ...result } = await this.#desk.checked(camera, credentials, () =>
      checkCamera({ ...this.deps, driver: this.#desk.driver }, camera, credentials),
    );
    return { ...result, ok: result.ok && login !== 'refused' };
  }

  /**
   * Whether this camera's streams may be opened now: it is itself that answers, and no login is held.
   * @param sinceMono when it was last seen to be itself (monotonic ms, which all threads share)
   */
  admit(id: string, sinceMono = -Infinity): Promise<Admission> {
    return this.#keeper.admit(id, sinceMono);
  }

  /** Which cameras give pictures now; who gives none is looked for at other addresses. To be called every few seconds. */
  async streaming(cameras: ReadonlySet<string>): Promise<void> {
    await this.#keeper.streaming(cameras);
  }

  /** Every adopted device and how the box stands with it. */
  devices(): Promise<DeviceStatus[]> {
    return this.#keeper.status();
  }

  /** Relays and digital inputs of a camera's device. */
  async io(id: string): Promise<DeviceIo> {
    return this.#desk.login(await this.#desk.get(id), 'agent', (endpoint, credentials) =>
      this.#desk.driver.io(endpoint, credentials),
    );
  }

  /** Closes or opens a relay of a camera's device. Errors also: RELAY_UNKNOWN, RELAY_STUCK. */
  async relay(id: string, { relay, active }: RelayBody): Promise<{ confirmed: boolean }> {
    return this.#desk.login(await this.#desk.get(id), 'agent', (endpoint, credentials) =>
      this.#desk.driver.setRelay(endpoint, credentials, relay, active),
    );
  }

  /** Changes settings of the camera itself; only what the caller was told to by a person who may. */
  async tune(id: string, body: TuneBody): Promise<string[]> {
    return this.#tuning.tune(await this.#desk.get(id), body);
  }

  /**
   * Clock of each camera minus that of the box, ms. Asked without a login; who does not answer is left out.
   * @param known the box knows the time itself: only then cameras whose clock it keeps are set by it
   */
  async clocks(known: boolean): Promise<Map<string, number>> {
    const adopted = await this.list();
    const offsets = await this.#tuning.clocks(adopted, known);
    return new Map(
      adopted.flatMap((camera) => {
        const offset = offsets.get(camera.device.id);
        return offset === undefined ? [] : [[camera.id, offset] as const];
      }),
    );
  }

  /** A still as the camera itself makes it (JPEG). */
  async snapshot(id: string): Promise<{ type: string; bytes: Buffer }> {
    return this.#desk.snapshot(await this.#desk.get(id));
  }

  /** Forgets a camera, and its device's credentials with the last of its cameras. What was tuned is undone first. */
  async remove(id: string): Promise<void> {
    const camera = await this.#desk.get(id);
    await this.#tuning.undo(camera, await this.list());
    await this.#desk.remove(camera);
  }

  /** For those who log in to the camera's streams. Empty strings if the camera asks for no login. */
  credentialsOf(id: string): Promise<Credentials> {
    return this.#desk.credentialsOf(id);
  }

  /** True while no login to this camera's device is tried because one was refused. */
  async loginHeld(id: string): Promise<boolean> {
    return this.#desk.isHeld((await this.#desk.get(id)).device);
  }

  /**
   * Another room's login to this camera was refused: with the same credentials none is tried here either.
   * @param login the print of what was refused
   */
  async loginRefused(id: string, login: string): Promise<void> {
    await this.#desk.refusedElsewhere(await this.#desk.get(id), login);
  }

  async #scanOnce(ports: boolean): Promise<void> {
    const { clock, log, allowLoopback } = this.deps;
    try {
      const interfaces = this.interfaces();
      const found = await this.#discovery.scan(interfaces);
      this.#state.found = found;
      if (ports)
        this.#state.found = [...found, ...(await scanSubnets({ clock, log, allowLoopback }, interfaces, found))];
    } finally {
      this.#finishedAt = toUtc(clock.now());
      this.#scanning = undefined;
    }
  }

  #scanFailed(error: unknown): void {
    this.deps.log.warn({ reason: errorMessage(error) }, 'the search for cameras failed');
  }
}

function isAdopted(found: Omit<Discovered, 'adopted'>, adopted: readonly Camera[]): boolean {
  return adopted.some(({ device }) =>
    found.endpointReference !== '' && device.endpointReference !== ''
      ? referenceKey(device.endpointReference) === referenceKey(found.endpointReference)
      : device.address === found.address,
  );
}

function realNetwork(): { host: HostInterfaces; routes: string; arp: string } {
  // Files of the kernel, in memory: no disk is touched.
  const read = (name: string): string => readFileSync(`/proc/net/${name}`, 'utf8');
  return { host: networkInterfaces(), routes: read('route'), arp: read('arp') };
}
