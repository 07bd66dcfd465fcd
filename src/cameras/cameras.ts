import { networkInterfaces } from 'node:os';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import type { Log, Redactor } from '../base/log.js';
import type { Camera, Credentials, Device, Discovered } from '../contract/camera.js';
import type { AddDeviceBody, CameraTestBody, DiscoveryBody } from '../contract/http.js';
import { toUtc } from '../contract/primitives.js';
import { cameraInterfaces, mayBeCamera, parseAddress, type CameraInterface, type Endpoint } from './addresses.js';
import { planAdoption } from './adopt.js';
import { checkCamera, MAX_SNAPSHOT_BYTES } from './check.js';
import { CameraDiscovery, referenceKey } from './discovery.js';
import type { CameraDriver, ConnectedDevice } from './driver.js';
import { fetchWithDigest } from './http-digest.js';
import { LoginLedger } from './logins.js';
import { onvifDriver } from './onvif-driver.js';
import type { CameraTable, CredentialTable } from './ports.js';

export type { CameraTable, CredentialTable } from './ports.js';

export interface CamerasDeps {
  clock: Clock;
  log: Log;
  redactor: Redactor;
  cameras: CameraTable;
  credentials: CredentialTable;
  /** Interface names or addresses on which cameras are; empty: all but the default route's. */
  interfaces: readonly string[];
  allowLoopback: boolean;
  /** Resolves a host name to an IP address; the caller decides how (default: IP addresses only). */
  resolve?: (host: string) => Promise<string>;
  /** After every change of the adopted cameras or their credentials. */
  onChanged?: (cameras: Camera[]) => void;
  /** A device refused its password: every other login to these cameras must stop. */
  onRefused?: (cameras: string[]) => void;
  driver?: CameraDriver;
  /** The host's interfaces and routes, instead of the real ones. */
  network?: () => { host: ReturnType<typeof networkInterfaces>; routes: string };
}

/** Ports on which cameras have their ONVIF service when discovery did not tell, most usual first. */
const USUAL_PORTS = [80, 8000, 8080, 8899, 2020, 5000];

export function createCameras(deps: CamerasDeps): Cameras {
  return new Cameras(deps);
}

/** Finding, adopting and checking cameras. One instance per box. */
export class Cameras {
  readonly #driver: CameraDriver;
  readonly #discovery: CameraDiscovery;
  readonly #logins: LoginLedger;
  #found: Omit<Discovered, 'adopted'>[] = [];
  #finishedAt: string | null = null;
  #scanning: Promise<void> | undefined;
  /** Adoptions go one after the other: each gives out ids by what is stored. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly deps: CamerasDeps) {
    this.#driver = deps.driver ?? onvifDriver(deps.clock, deps.log);
    this.#discovery = new CameraDiscovery(deps);
    this.#logins = new LoginLedger(deps.clock);
  }

  list(): Promise<Camera[]> {
    return this.deps.cameras.list();
  }

  /** The interfaces on which cameras are looked for now. */
  interfaces(): CameraInterface[] {
    const { host, routes } = (this.deps.network ?? realNetwork)();
    return cameraInterfaces({ host, routes, wanted: this.deps.interfaces, allowLoopback: this.deps.allowLoopback });
  }

  /** Starts a search, or joins the one that runs. Its result is in `discovered`. */
  scan(): Promise<void> {
    if (this.#scanning === undefined) void this.discover().catch((error: unknown) => this.#scanFailed(error));
    return Promise.resolve();
  }

  /** Searches and gives what was found, in at most 10 s. */
  async discover(): Promise<Discovered[]> {
    this.#scanning ??= this.#scanOnce();
    await this.#scanning;
    return (await this.discovered()).devices;
  }

  async discovered(): Promise<DiscoveryBody> {
    const adopted = await this.list();
    const devices = this.#found.map((one) => ({ ...one, adopted: isAdopted(one, adopted) }));
    return { running: this.#scanning !== undefined, finishedAt: this.#finishedAt, devices };
  }

  /**
   * Adopts a device with all its channels, or takes over new settings and credentials of one that is known.
   * Errors: CAMERA_ADDRESS, CAMERA_UNREACHABLE, CAMERA_REFUSED, CAMERA_LOGIN_HELD, CAMERA_NO_STREAMS, CAMERA_INVALID.
   */
  add(request: AddDeviceBody): Promise<{ device: Device; cameras: Camera[] }> {
    this.deps.redactor.add(request.password);
    const mine = this.#turn.then(() => this.#add(request));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /** @throws BluelightError CAMERA_UNKNOWN */
  async test(id: string): Promise<CameraTestBody> {
    const camera = await this.#get(id);
    const credentials = await this.credentialsOf(id);
    const { device } = camera;
    this.#logins.check(device.address, credentials, 'person');
    const { login, ...result } = await checkCamera(
      { clock: this.deps.clock, driver: this.#driver },
      camera,
      credentials,
    );
    if (login === 'accepted') this.#logins.accepted(device.address);
    if (login === 'refused') await this.#deviceRefused(device.address, credentials);
    return result;
  }

  /** Clock of each camera minus that of the box, ms. Asked without a login; who does not answer is left out. */
  async clocks(): Promise<Map<string, number>> {
    const adopted = await this.list();
    const byDevice = new Map(adopted.map((camera) => [camera.device.id, camera.device]));
    const offsets = new Map<string, number>();
    await Promise.all(
      [...byDevice].map(async ([id, device]) => {
        try {
          const { clockOffsetMs } = await this.#driver.greet(endpointOf(device.xaddr));
          if (clockOffsetMs !== null) offsets.set(id, clockOffsetMs);
        } catch (error) {
          this.deps.log.debug({ device: id, reason: errorMessage(error) }, 'the camera does not tell its time');
        }
      }),
    );
    return new Map(
      adopted.flatMap((camera) => {
        const offset = offsets.get(camera.device.id);
        return offset === undefined ? [] : [[camera.id, offset] as const];
      }),
    );
  }

  /** A still as the camera itself makes it (JPEG). */
  async snapshot(id: string): Promise<{ type: string; bytes: Buffer }> {
    const camera = await this.#get(id);
    const credentials = await this.credentialsOf(id);
    this.#logins.check(camera.device.address, credentials, 'agent');
    const connected = await this.#connect(endpointOf(camera.device.xaddr), credentials);
    const uri = await connected.snapshotUri(camera.main.profile);
    if (uri === undefined) throw new BluelightError('CAMERA_NO_SNAPSHOT', `${camera.name} offers no snapshots`);
    return fetchWithDigest(this.deps.clock, uri, credentials, MAX_SNAPSHOT_BYTES);
  }

  /** Forgets a camera, and its device's credentials with the last of its cameras. */
  async remove(id: string): Promise<void> {
    const { device } = await this.#get(id);
    await this.deps.cameras.remove({ id, at: this.deps.clock.now() });
    const left = await this.list();
    if (!left.some((camera) => camera.device.id === device.id)) {
      await this.deps.credentials.remove(credentialName(device.id));
    }
    this.deps.onChanged?.(left);
  }

  /** For those who log in to the camera's streams. Empty strings if the camera asks for no login. */
  async credentialsOf(id: string): Promise<Credentials> {
    const { device } = await this.#get(id);
    const stored = await this.deps.credentials.get(credentialName(device.id));
    if (stored === null) return { username: '', password: '' };
    this.deps.redactor.add(stored.password);
    return stored;
  }

  /** True while no login to this camera's device is tried because one was refused. */
  async loginHeld(id: string): Promise<boolean> {
    return this.#logins.isHeld((await this.#get(id)).device.address);
  }

  /** Another room's login to this camera was refused: none is tried here either until the credentials change. */
  async loginRefused(id: string): Promise<void> {
    const { device } = await this.#get(id);
    this.#logins.refused(device.address, await this.credentialsOf(id));
  }

  async #add(request: AddDeviceBody): Promise<{ device: Device; cameras: Camera[] }> {
    const { clock, cameras, credentials: sealed } = this.deps;
    const { endpoint, endpointReference } = await this.#locate(request.address);
    const credentials = { username: request.username, password: request.password };
    this.#logins.check(endpoint.host, credentials, 'person');
    const connected = await this.#connect(endpoint, credentials);
    const adopted = await cameras.list();
    const everUsed = Object.keys(await cameras.names());
    const now = clock.now();
    const { name } = request;
    const plan = planAdoption({ endpoint, endpointReference, connected, name, adopted, everUsed, now });
    // The password first: a camera without one would be logged in to with none, which counts as a wrong login.
    await sealed.put({ name: credentialName(plan.device.id), ...credentials, at: now });
    for (const camera of plan.cameras) await cameras.save(camera);
    const { clockOffsetMs } = connected;
    this.deps.log.info(
      { device: plan.device.id, cameras: plan.cameras.map((c) => c.id), clockOffsetMs },
      'camera adopted',
    );
    this.deps.onChanged?.(await cameras.list());
    return plan;
  }

  /** Logs in once, and keeps the books about it. */
  async #connect(endpoint: Endpoint, credentials: Credentials): Promise<ConnectedDevice> {
    try {
      const connected = await this.#driver.connect(endpoint, credentials);
      this.#logins.accepted(endpoint.host);
      return connected;
    } catch (error) {
      if (errorCode(error) === 'CAMERA_REFUSED') await this.#deviceRefused(endpoint.host, credentials);
      throw error;
    }
  }

  async #deviceRefused(address: string, credentials: Credentials): Promise<void> {
    this.#logins.refused(address, credentials);
    const concerned = (await this.list()).filter((camera) => camera.device.address === address);
    if (concerned.length > 0) this.deps.onRefused?.(concerned.map((camera) => camera.id));
  }

  /** From what a person gave to where the device service is: what discovery heard, or the usual ports. */
  async #locate(text: string): Promise<{ endpoint: Endpoint; endpointReference: string }> {
    const byReference = this.#found.find(
      (one) => one.endpointReference !== '' && referenceKey(one.endpointReference) === referenceKey(text.trim()),
    );
    if (byReference !== undefined) return this.#heardEndpoint(byReference);
    const { host: given, port, path, secure } = parseAddress(text);
    const host = await this.#allowedHost(given);
    const heard = this.#found.find((one) => one.address === host);
    const endpointReference = heard?.endpointReference ?? '';
    if (port !== undefined) return { endpoint: { host, port, path, secure }, endpointReference };
    if (heard !== undefined) return this.#heardEndpoint(heard);
    return { endpoint: await this.#findPort(host, path, secure), endpointReference };
  }

  async #heardEndpoint(found: Omit<Discovered, 'adopted'>): Promise<{ endpoint: Endpoint; endpointReference: string }> {
    const { endpointReference } = found;
    await this.#allowedHost(found.address);
    for (const xaddr of found.xaddrs) {
      const endpoint = endpointOf(xaddr);
      try {
        await this.#driver.greet(endpoint);
        return { endpoint, endpointReference };
      } catch (error) {
        this.deps.log.debug({ xaddr, reason: errorMessage(error) }, 'no device service at this address');
      }
    }
    throw notFound(found.address);
  }

  async #findPort(host: string, path: string, secure: boolean): Promise<Endpoint> {
    const ports = secure ? [443] : USUAL_PORTS;
    const answers = await Promise.all(
      ports.map(async (port) => {
        const endpoint = { host, port, path, secure };
        try {
          await this.#driver.greet(endpoint);
          return endpoint;
        } catch (error) {
          this.deps.log.debug({ host, port, reason: errorMessage(error) }, 'no device service on this port');
          return undefined;
        }
      }),
    );
    const endpoint = answers.find((one) => one !== undefined);
    if (endpoint === undefined) throw notFound(host);
    return endpoint;
  }

  async #allowedHost(host: string): Promise<string> {
    const ip = isIP(host) !== 0 ? host : await this.deps.resolve?.(host);
    if (ip !== undefined && mayBeCamera(ip, this.deps.allowLoopback)) return ip;
    throw new BluelightError('CAMERA_ADDRESS', `${host} cannot be the address of a camera`, {
      fix:
        ip === undefined
          ? 'give the IP address of the camera'
          : 'give the address of the camera in its own network; for virtual cameras set cameras.allow_loopback',
    });
  }

  async #get(id: string): Promise<Camera> {
    const camera = (await this.list()).find((one) => one.id === id);
    if (camera !== undefined) return camera;
    throw new BluelightError('CAMERA_UNKNOWN', `there is no camera "${id}"`, { fix: 'see `bluelight camera list`' });
  }

  async #scanOnce(): Promise<void> {
    try {
      this.#found = await this.#discovery.scan(this.interfaces());
    } finally {
      this.#finishedAt = toUtc(this.deps.clock.now());
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

function endpointOf(xaddr: string): Endpoint {
  const { host, port, path, secure } = parseAddress(xaddr);
  return { host, port: port ?? (secure ? 443 : 80), path, secure };
}

function credentialName(device: string): string {
  return `device:${device}`;
}

function notFound(host: string): BluelightError {
  return new BluelightError('CAMERA_UNREACHABLE', `no ONVIF device answers at ${host}`, {
    fix: 'check that the camera has power and network and that ONVIF is switched on, or give its port as well',
    retryable: true,
  });
}

function realNetwork(): { host: ReturnType<typeof networkInterfaces>; routes: string } {
  // A file of the kernel, in memory: no disk is touched.
  return { host: networkInterfaces(), routes: readFileSync('/proc/net/route', 'utf8') };
}
