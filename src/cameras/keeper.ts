import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type {
  Camera,
  CameraEvent,
  Credentials,
  Device,
  DeviceStatus,
  Discovered,
  EventSource,
} from '../contract/camera.js';
import { Admissions, looksAlike, type Admission } from './admission.js';
import type { CameraDesk } from './desk.js';
import type { CameraDriver, DeviceInfo } from './driver.js';
import { EventDesk } from './event-desk.js';
import { follow } from './follow.js';
import { devicesOf } from './identity.js';
import { heardEndpoint } from './locate.js';
import { readTraits } from './stream-traits.js';
import { referenceAt } from './unicast-probe.js';

export interface KeeperDeps {
  clock: Clock;
  log: Log;
  driver: CameraDriver;
  desk: CameraDesk;
  look: () => Promise<Omit<Discovered, 'adopted'>[]>;
  arp: () => string;
  onEvent: ((event: CameraEvent) => void) | undefined;
  onSource: ((device: string, source: EventSource) => void) | undefined;
}

/** A camera without pictures for so long may have another address. */
const MISSED_MS = 4_000;
const LOOK_EVERY_MS = 6_000;
const HELD = 'the camera refused user name and password; no login is tried, so that it does not lock itself';

/** Keeps adopted cameras what and where they are: proves who answers, follows who moved, listens to their events. */
export class Keeper {
  readonly #admissions: Admissions;
  readonly #events: EventDesk | undefined;
  /** By device: since when none of its cameras gives pictures. */
  readonly #missed = new Map<string, number>();
  #prints = new Map<string, string>();
  #lookedAt = -Infinity;
  #looking = false;
  /** Changes come one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly deps: KeeperDeps) {
    const { clock, log, driver, desk, arp, onEvent } = deps;
    this.#admissions = new Admissions({
      clock,
      referenceAt: (host) => referenceAt(clock, host),
      identify: (device) => desk.login({ device }, 'agent', (endpoint, login) => driver.identify(endpoint, login)),
      traits: ({ main, device }) => readTraits({ clock, arp }, main.uri, device.address),
      onTraits: (device, stream) => desk.saveDevice({ ...device, stream }),
      onMet: (device, info) => this.#met(device, info),
    });
    if (onEvent === undefined) return;
    const open = (device: Device): ReturnType<CameraDriver['events']> =>
      desk.login({ device }, 'agent', (endpoint, login) => driver.events(endpoint, login));
    const held = (device: Device): boolean => desk.isHeld(device);
    this.#events = new EventDesk({ clock, log, open, held, onEvent, onSource: deps.onSource });
  }

  /** The adopted cameras are these now. */
  follow(cameras: readonly Camera[]): Promise<void> {
    const work = this.#turn.then(async () => {
      this.#prints = await this.#credentialPrints(cameras);
      const known = new Set(cameras.map((camera) => camera.device.id));
      for (const id of this.#missed.keys()) if (!known.has(id)) this.#missed.delete(id);
      await this.#events?.follow(cameras, (device) => this.#prints.get(device) ?? '');
    });
    this.#turn = work.catch(() => undefined);
    return work;
  }

  async stop(): Promise<void> {
    await this.#turn;
    await this.#events?.stop();
  }

  async admit(id: string, sinceMono: number): Promise<Admission> {
    const { desk } = this.deps;
    const cameras = await desk.list();
    const camera = cameras.find((one) => one.id === id);
    if (camera === undefined) return { ok: false, other: false, detail: 'the camera was removed' };
    // Also where nothing is asked of the camera itself: the stream would be the next login.
    await desk.credentialsOfDevice(camera.device);
    if (desk.isHeld(camera.device)) return { ok: false, other: false, held: true, detail: HELD };
    const alike = devicesOf(cameras).some((one) => looksAlike(one, camera.device));
    const admission = await this.#admissions.admit(camera, alike, sinceMono);
    // It need not have been missed for long: another has its address.
    if (!admission.ok && admission.other) this.#missed.set(camera.device.id, -Infinity);
    return admission;
  }

  async streaming(cameras: ReadonlySet<string>): Promise<void> {
    const now = this.deps.clock.monotonic();
    const adopted = await this.deps.desk.list();
    for (const device of devicesOf(adopted)) {
      const alive = adopted.some((camera) => camera.device.id === device.id && cameras.has(camera.id));
      if (alive) this.#missed.delete(device.id);
      else if (!this.#missed.has(device.id)) {
        this.#missed.set(device.id, now);
        // Who comes back has to show anew who it is.
        this.#admissions.forget(device.id);
      }
    }
    await this.#lookForMissed(adopted, now);
  }

  async status(): Promise<DeviceStatus[]> {
    const cameras = await this.deps.desk.list();
    return devicesOf(cameras).map((device) => {
      const own = cameras.filter((camera) => camera.device.id === device.id).map((camera) => camera.id);
      const events = this.#events?.source(device.id) ?? { by: 'pixels' as const, detail: '' };
      return { device, cameras: own, ...this.#link(device), events };
    });
  }

  #link(device: Device): Pick<DeviceStatus, 'link' | 'detail' | 'fix'> {
    if (this.deps.desk.isHeld(device)) {
      return { link: 'auth_failed', detail: HELD, fix: 'give the right one with `bluelight camera password ID`' };
    }
    const since = this.#missed.get(device.id);
    if (since === undefined || this.deps.clock.monotonic() - since < MISSED_MS)
      return { link: 'ok', detail: '', fix: '' };
    const fix = 'check its power and network; a new address is found by itself where discovery reaches it';
    return { link: 'lost', detail: 'no pictures; it is looked for at other addresses', fix };
  }

  async #lookForMissed(adopted: readonly Camera[], now: number): Promise<void> {
    const { desk, clock } = this.deps;
    const due = devicesOf(adopted).filter((device) => {
      const since = this.#missed.get(device.id);
      return since !== undefined && now - since >= MISSED_MS && device.xaddr !== '' && !desk.isHeld(device);
    });
    if (due.length === 0 || this.#looking || now - this.#lookedAt < LOOK_EVERY_MS) return;
    this.#looking = true;
    try {
      const found = this.deps.look();
      for (const device of due) await this.#follow(device, adopted, found);
    } finally {
      this.#looking = false;
      this.#lookedAt = clock.monotonic();
    }
  }

  async #follow(device: Device, adopted: readonly Camera[], found: ReturnType<KeeperDeps['look']>): Promise<void> {
    const { clock, log, arp, desk, driver } = this.deps;
    const cameras = adopted.filter((camera) => camera.device.id === device.id);
    const asked = clock.monotonic();
    try {
      const moved = await follow(
        {
          ...{ clock, log, arp, look: () => found },
          endpoint: async (one) => (await heardEndpoint(desk.locating, one)).endpoint,
          connect: (known, endpoint) =>
            desk.login({ device: known }, 'agent', (at, login) => driver.connect(at, login), endpoint),
        },
        device,
        cameras,
      );
      if (moved === undefined) return;
      log.warn({ device: device.id, from: device.address, to: moved[0]?.device.address }, 'the camera has moved');
      this.#admissions.met(device.id, asked);
      this.#missed.delete(device.id);
      await desk.moved(moved);
    } catch (error) {
      const code = errorCode(error);
      log.info({ device: device.id, code, reason: errorMessage(error) }, 'a lost camera could not be followed');
      if (!(error instanceof BluelightError)) throw error;
    }
  }

  /** New firmware may bring other words for itself. */
  async #met(device: Device, info: DeviceInfo): Promise<void> {
    const now = { ...device, ...info, mac: info.mac === '' ? device.mac : info.mac };
    const same = (['make', 'model', 'firmware', 'mac'] as const).every((key) => now[key] === device[key]);
    if (!same) await this.deps.desk.saveDevice(now);
  }

  async #credentialPrints(cameras: readonly Camera[]): Promise<Map<string, string>> {
    const prints = devicesOf(cameras).map(async (device) => {
      const login: Credentials = await this.deps.desk.credentialsOfDevice(device);
      return [device.id, createHash('sha256').update(JSON.stringify(login)).digest('base64')] as const;
    });
    return new Map(await Promise.all(prints));
  }
}
