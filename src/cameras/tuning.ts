import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Camera, Device } from '../contract/camera.js';
import type { TuneBody } from '../contract/http.js';
import type { CameraDesk } from './desk.js';
import type { CameraDriver } from './driver.js';
import { devicesOf } from './identity.js';
import { endpointOf } from './locate.js';

export interface TuningDeps {
  clock: Clock;
  log: Log;
  driver: CameraDriver;
  desk: CameraDesk;
}

/** From key frame to key frame: motion is judged by them, and live view starts with one. */
const SUB_GOP_SECONDS = 1;
/** A clock that the box keeps is set again when it is off by more; cameras tell whole seconds. */
const CLOCK_OFF_MS = 1_500;

type Tuned = NonNullable<Device['tuned']>;

/** Settings of cameras that a person allowed the box to change. What was there before is kept, and comes back. */
export class Tuning {
  constructor(private readonly deps: TuningDeps) {}

  /** Says in words what was changed. Errors: those of the driver. */
  async tune(camera: Camera, { gop, clock }: TuneBody): Promise<string[]> {
    const done: string[] = [];
    if (gop) done.push(...(await this.#tuneGop(camera)));
    if (clock) done.push(...(await this.#tuneClock(await this.deps.desk.get(camera.id))));
    return done;
  }

  /** Gives the camera back what it had; with the last camera of its device also its clock. Never rejects. */
  async undo(camera: Camera, adopted: readonly Camera[]): Promise<void> {
    const { driver, desk, clock, log } = this.deps;
    const { tuned } = camera.device;
    if (tuned === undefined) return;
    const last = adopted.filter((one) => one.device.id === camera.device.id).length === 1;
    const profile = camera.sub?.profile ?? '';
    const gov = tuned.gops[profile];
    try {
      await desk.login(camera, 'agent', async (endpoint, login) => {
        if (gov !== undefined) await driver.restoreGop(endpoint, login, profile, gov);
        if (last && tuned.clock) await driver.setClock(endpoint, login, clock.now() + (tuned.clockOffsetMs ?? 0));
      });
    } catch (error) {
      log.warn({ camera: camera.id, reason: errorMessage(error) }, 'the camera keeps the settings that were changed');
    }
  }

  /**
   * Clock of each device minus the box's; where the box keeps it, it is set if it is off.
   * @param known the box knows the time itself
   */
  async clocks(adopted: readonly Camera[], known: boolean): Promise<Map<string, number>> {
    const { driver, log } = this.deps;
    const offsets = new Map<string, number>();
    const ask = async (device: Device): Promise<void> => {
      try {
        const { clockOffsetMs } = await driver.greet(endpointOf(device));
        if (clockOffsetMs === null) return;
        offsets.set(device.id, clockOffsetMs);
        const off = Math.abs(clockOffsetMs) > CLOCK_OFF_MS;
        if (known && device.tuned?.clock === true && off) await this.#setClock(device);
      } catch (error) {
        log.debug({ device: device.id, reason: errorMessage(error) }, 'the camera does not tell its time');
      }
    };
    await Promise.all(devicesOf(adopted).filter((device) => device.xaddr !== '').map(ask)); // prettier-ignore
    return offsets;
  }

  async #tuneGop(camera: Camera): Promise<string[]> {
    const { driver, desk } = this.deps;
    const { sub } = camera;
    if (sub === null) return [];
    const change = await desk.login(camera, 'agent', (endpoint, login) =>
      driver.setSubGop(endpoint, login, sub.profile, SUB_GOP_SECONDS),
    );
    if (change === null) return [];
    const before = tunedOf(camera.device);
    // What was there first counts, however often it is changed.
    const gops = { [sub.profile]: change.before, ...before.gops };
    await desk.saveDevice({ ...camera.device, tuned: { ...before, gops } });
    return [`the substream of ${camera.id} has a key frame every ${change.after} pictures instead of ${change.before}`];
  }

  async #tuneClock(camera: Camera): Promise<string[]> {
    const { device } = camera;
    const { clockOffsetMs } = await this.deps.driver.greet(endpointOf(device));
    await this.#setClock(device);
    const before = tunedOf(device);
    const first = before.clock ? before.clockOffsetMs : clockOffsetMs;
    await this.deps.desk.saveDevice({ ...device, tuned: { ...before, clock: true, clockOffsetMs: first } });
    return [`the clock of ${camera.id} is set and kept by the box`];
  }

  async #setClock(device: Device): Promise<void> {
    const { driver, desk, clock } = this.deps;
    // Half a second for what the camera cannot be told: parts of a second.
    await desk.login({ device }, 'agent', (endpoint, login) => driver.setClock(endpoint, login, clock.now() + 500));
  }
}

function tunedOf(device: Device): Tuned {
  return device.tuned ?? { gops: {}, clock: false, clockOffsetMs: null };
}
