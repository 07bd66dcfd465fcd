import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import { loginPrint } from '../base/login-print.js';
import type { Log, Redactor } from '../base/log.js';
import type { Camera, Credentials, Device, Discovered } from '../contract/camera.js';
import type { AddDeviceBody } from '../contract/http.js';
import { endpointUrl, pinToHost, type Endpoint } from './addresses.js';
import { inspect, isRtsp, parseRtsp, planRtsp } from './adopt-rtsp.js';
import { planAdoption } from './adopt.js';
import { MAX_SNAPSHOT_BYTES, type CheckResult } from './check.js';
import type { CameraDriver, Login } from './driver.js';
import { fetchFile } from './http-digest.js';
import { devicesOf } from './identity.js';
import { allowedHost, endpointOf, locate, type LocateDeps } from './locate.js';
import { LoginLedger } from './logins.js';
import { readTraits } from './stream-traits.js';
import type { CameraTable, CredentialTable, HeldTable } from './ports.js';

export interface DeskDeps {
  clock: Clock;
  log: Log;
  redactor: Redactor;
  cameras: CameraTable;
  credentials: CredentialTable;
  held?: HeldTable;
  allowLoopback: boolean;
  basicLogin?: readonly string[];
  resolve?: (host: string) => Promise<string>;
  /** `login` is the print of the credentials that were refused. */
  onRefused?: (cameras: string[], login: string) => void;
  driver: CameraDriver;
  /** Content of `/proc/net/arp`. */
  arp: () => string;
  /** The adopted cameras or their credentials are other ones now. */
  changed: () => Promise<void>;
}

export interface DeskState {
  /** What the last search found. */
  found: Omit<Discovered, 'adopted'>[];
}

export interface Adopted {
  device: Device;
  cameras: Camera[];
}

/** Which cameras the box has and how they are logged in to; every login of the room is counted here. */
export class CameraDesk {
  readonly driver: CameraDriver;
  readonly #logins: LoginLedger;
  /** Adoptions go one after the other: each gives out ids by what is stored. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly deps: DeskDeps,
    private readonly state: DeskState,
  ) {
    this.driver = deps.driver;
    this.#logins = new LoginLedger(deps.clock, (held) => void this.#keepHeld(held));
  }

  /** What was refused before the agent started is refused still. To be called before anything logs in. */
  async restore(): Promise<void> {
    const held = (await this.deps.held?.load()) ?? [];
    for (const device of devicesOf(await this.list())) {
      const refusals = held.filter((id) => id === device.id).length;
      if (refusals > 0) this.#logins.restore(device.id, await this.credentialsOfDevice(device), refusals);
    }
  }

  list(): Promise<Camera[]> {
    return this.deps.cameras.list();
  }

  /** @throws BluelightError CAMERA_UNKNOWN */
  async get(id: string): Promise<Camera> {
    const camera = (await this.list()).find((one) => one.id === id);
    if (camera !== undefined) return camera;
    throw new BluelightError('CAMERA_UNKNOWN', `there is no camera "${id}"`, { fix: 'see `bluelight camera list`' });
  }

  async credentialsOf(id: string): Promise<Credentials> {
    return this.credentialsOfDevice((await this.get(id)).device);
  }

  async credentialsOfDevice(device: Device): Promise<Credentials> {
    const stored = await this.deps.credentials.get(credentialName(device.id));
    const credentials = stored ?? { username: '', password: '' };
    if (stored !== null) this.deps.redactor.add(stored.password);
    this.#logins.uses(device.id, credentials);
    return credentials;
  }

  isHeld(device: Device): boolean {
    return this.#logins.isHeld(device.id);
  }

  async refusedElsewhere({ device }: Camera, login: string): Promise<void> {
    // What it was refused with may have been replaced meanwhile.
    await this.credentialsOfDevice(device);
    this.#logins.refusedElsewhere(device.id, login);
  }

  /** Something that logs in to a camera's device. @throws BluelightError CAMERA_LOGIN_HELD, CAMERA_NO_ONVIF */
  async login<T>(
    { device }: Pick<Camera, 'device'>,
    by: 'agent' | 'person',
    work: (endpoint: Endpoint, login: Login) => Promise<T>,
    at?: Endpoint,
  ): Promise<T> {
    if (device.xaddr === '') {
      throw new BluelightError('CAMERA_NO_ONVIF', 'only the stream of this camera is known', {
        fix: 'add it by its IP address to use ONVIF',
      });
    }
    return this.#logins.run(device.id, {
      ...{ by, work: (login) => work(at ?? endpointOf(device), login) },
      credentials: () => this.credentialsOfDevice(device),
      onRefused: (credentials) => this.#tellRefused(device.id, credentials),
    });
  }

  /** A check by a person, which says itself how the login went. */
  async checked(camera: Camera, credentials: Credentials, work: () => Promise<CheckResult>): Promise<CheckResult> {
    const { id } = camera.device;
    this.#logins.check(id, credentials, 'person');
    const result = await work();
    if (result.login === 'accepted') this.#logins.accepted(id);
    if (result.login === 'refused') {
      this.#logins.refused(id, credentials);
      await this.#tellRefused(id, credentials);
    }
    return result;
  }

  add(request: AddDeviceBody, replaces: Camera | undefined): Promise<Adopted> {
    this.deps.redactor.add(request.password);
    const adopt = isRtsp(request.address) ? this.#addStream(request, replaces) : this.#addDevice(request, replaces);
    const mine = this.#turn.then(adopt);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async password(id: string, credentials: Credentials): Promise<void> {
    const { device, main } = await this.get(id);
    this.deps.redactor.add(credentials.password);
    await this.#logins.run(device.id, {
      ...{ credentials: () => Promise.resolve(credentials), by: 'person' },
      work: async ({ accepted, ...login }) => {
        if (device.xaddr === '') await inspect(this.deps, main.uri, device.address, login);
        else await this.driver.identify(endpointOf(device), login);
        // Before it is the turn of those who wait: they must not try the old ones.
        await this.#seal(device, credentials);
        accepted?.();
      },
      onRefused: () => this.#tellRefused(device.id, credentials),
    });
    await this.deps.changed();
  }

  async trust(id: string): Promise<Device> {
    const { device } = await this.get(id);
    if (!device.xaddr.startsWith('https:')) {
      throw new BluelightError('CAMERA_PLAIN', 'this camera shows no certificate: it is spoken to without TLS');
    }
    const { certificate: _old, ...anyCertificate } = endpointOf(device);
    const { certificate } = await this.driver.greet(anyCertificate);
    const trusted = { ...device, certificate };
    await this.saveDevice(trusted);
    await this.deps.changed();
    return trusted;
  }

  /** Stores what is known of a device with each of its cameras. */
  async saveDevice(device: Device): Promise<void> {
    for (const camera of await this.list()) {
      if (camera.device.id === device.id) await this.deps.cameras.save({ ...camera, device });
    }
  }

  /** Stores cameras that are somewhere else now. */
  async moved(cameras: readonly Camera[]): Promise<void> {
    for (const camera of cameras) await this.deps.cameras.save(camera);
    await this.deps.changed();
  }

  async snapshot(camera: Camera): Promise<{ type: string; bytes: Buffer }> {
    return this.login(camera, 'agent', async (endpoint, credentials) => {
      const connected = await this.driver.connect(endpoint, credentials);
      const uri = await connected.snapshotUri(camera.main.profile);
      if (uri === undefined) throw new BluelightError('CAMERA_NO_SNAPSHOT', `${camera.name} offers no snapshots`);
      return fetchFile(this.deps, uri, credentials, MAX_SNAPSHOT_BYTES, camera.device.certificate);
    });
  }

  async remove({ id, device }: Camera): Promise<void> {
    await this.deps.cameras.remove({ id, at: this.deps.clock.now() });
    await this.#forgetIfUnused(device);
    await this.deps.changed();
  }

  /** For those who look for a device. */
  get locating(): LocateDeps {
    return this.deps;
  }

  async #keepHeld(held: { device: string; refusals: number }[]): Promise<void> {
    try {
      await this.deps.held?.save(held.flatMap(({ device, refusals }) => Array<string>(refusals).fill(device)));
    } catch (error) {
      this.deps.log.error({ reason: errorMessage(error) }, 'a refused login could not be noted');
    }
  }

  #addDevice(request: AddDeviceBody, replaces: Camera | undefined): () => Promise<Adopted> {
    return async () => {
      const { clock, cameras } = this.deps;
      const { endpoint: bare, endpointReference } = await locate(this.deps, this.state.found, request.address);
      const before = (await this.list()).find(({ device }) => device.xaddr === endpointUrl(bare))?.device;
      const endpoint = before?.certificate === undefined ? bare : { ...bare, certificate: before.certificate };
      const credentials = { username: request.username, password: request.password };
      const key = before?.id ?? endpoint.host;
      const connected = await this.#logins.run(key, {
        ...{ credentials: () => Promise.resolve(credentials), by: 'person' },
        work: async () => {
          const found = await this.driver.connect(endpoint, credentials);
          // Before it is the turn of those who wait with what was known of it.
          if (before !== undefined) await this.#seal(before, credentials);
          return found;
        },
        onRefused: () => this.#tellRefused(key, credentials),
      });
      const plan = planAdoption({
        ...{ endpoint, endpointReference, connected, replaces, name: request.name, now: clock.now() },
        adopted: await this.list(),
        everUsed: Object.keys(await cameras.names()),
      });
      return this.#keep(plan, credentials, replaces);
    };
  }

  #addStream(request: AddDeviceBody, replaces: Camera | undefined): () => Promise<Adopted> {
    return async () => {
      const { clock, cameras } = this.deps;
      const given = parseRtsp(request.address, request.sub);
      const host = await allowedHost(this.deps, given.host);
      const credentials = { username: request.username, password: request.password };
      const pinned = pinToHost(given.main, host, ['rtsp']) ?? given.main;
      const stream = await readTraits({ clock, arp: this.deps.arp }, pinned, host);
      const streams = await this.#logins.run(host, {
        ...{ credentials: () => Promise.resolve(credentials), by: 'person' },
        work: async () => ({
          main: await inspect(this.deps, given.main, host, credentials),
          sub: given.sub === undefined ? null : await inspect(this.deps, given.sub, host, credentials),
        }),
        onRefused: () => Promise.resolve(),
      });
      const everUsed = Object.keys(await cameras.names());
      const planned = planRtsp({ host, stream }, streams, request.name, await this.list(), everUsed, clock.now());
      const camera =
        replaces === undefined ? planned : { ...planned, id: replaces.id, name: request.name ?? replaces.name, addedAt: replaces.addedAt }; // prettier-ignore
      return this.#keep({ device: camera.device, cameras: [camera] }, credentials, replaces);
    };
  }

  async #keep(plan: Adopted, credentials: Credentials, replaces: Camera | undefined): Promise<Adopted> {
    const { cameras, log, changed } = this.deps;
    // The password first: a camera without one would be logged in to with none, which counts as a wrong login.
    await this.#seal(plan.device, credentials);
    for (const camera of plan.cameras) await cameras.save(camera);
    if (replaces !== undefined) await this.#forgetIfUnused(replaces.device);
    this.#logins.accepted(plan.device.id);
    log.info({ device: plan.device.id, cameras: plan.cameras.map((c) => c.id) }, 'camera adopted');
    await changed();
    return plan;
  }

  async #seal(device: Device, credentials: Credentials): Promise<void> {
    const at = this.deps.clock.now();
    await this.deps.credentials.put({ name: credentialName(device.id), ...credentials, at });
    this.#logins.uses(device.id, credentials);
  }

  async #forgetIfUnused(device: Device): Promise<void> {
    if ((await this.list()).some((camera) => camera.device.id === device.id)) return;
    await this.deps.credentials.remove(credentialName(device.id));
  }

  async #tellRefused(device: string, credentials: Credentials): Promise<void> {
    const concerned = (await this.list()).filter((camera) => camera.device.id === device).map(({ id }) => id);
    if (concerned.length > 0) this.deps.onRefused?.(concerned, loginPrint(credentials));
  }
}

function credentialName(device: string): string {
  return `device:${device}`;
}
