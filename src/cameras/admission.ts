import type { Clock } from '../base/clock.js';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import type { Camera, Device } from '../contract/camera.js';
import type { DeviceInfo } from './driver.js';
import { referenceKey } from './discovery.js';
import { portOpen } from './port-open.js';
import { isSameStream, type StreamTraits } from './stream-traits.js';

/** Whether a camera's streams may be recorded now under its name. */
export type Admission = { ok: true } | { ok: false; other: boolean; detail: string; held?: true };

export interface AdmissionDeps {
  clock: Clock;
  /** EndpointReference of whoever answers at this address; no login. */
  referenceAt: (host: string) => Promise<string | undefined>;
  /** Who answers, at the price of one login. */
  identify: (device: Device) => Promise<DeviceInfo>;
  /** What a camera of which only the stream is known says of itself; no login. */
  traits: (camera: Camera) => Promise<StreamTraits>;
  /** They were read for the first time. */
  onTraits: (device: Device, traits: StreamTraits) => Promise<void>;
  /** The device was met, with its traits as they are now. */
  onMet: (device: Device, info: DeviceInfo) => Promise<void>;
}

/** Both streams of a camera come back together. */
const VALID_MS = 10_000;
/** ONVIF comes up later than video on some cameras; on few it never comes back. */
const UNPROVEN_MS = 20_000;
const CONNECT_MS = 2_000;

/**
 * Proves who answers at a camera's address before anything is recorded under its name: after an outage another camera
 * may have the address. First what costs no login, so that a stranger never sees this camera's password.
 */
export class Admissions {
  readonly #valid = new Map<string, number>();
  readonly #asked = new Map<string, { atMono: number; answer: Promise<Admission> }>();
  /** Since when a device gives video but does not say who it is. */
  readonly #unproven = new Map<string, number>();

  constructor(private readonly deps: AdmissionDeps) {}

  /** The device was logged in to and recognised; the asking began at this time. */
  met(device: string, atMono: number): void {
    this.#valid.set(device, atMono);
    this.#unproven.delete(device);
  }

  forget(device: string): void {
    this.#valid.delete(device);
  }

  /**
   * `sinceMono`: when the camera was last seen to be itself; only a proof that was begun after that counts, since the
   * address may have changed hands in a moment. `alike`: another adopted device cannot be told apart from this one by
   * make, model, serial and hardware address.
   */
  async admit(camera: Camera, alike: boolean, sinceMono: number): Promise<Admission> {
    const { device } = camera;
    const now = this.deps.clock.monotonic();
    const met = this.#valid.get(device.id) ?? -Infinity;
    if (met >= sinceMono && now - met < VALID_MS) return { ok: true };
    const running = this.#asked.get(device.id);
    if (running !== undefined && running.atMono >= sinceMono) return running.answer;
    const asking = { atMono: now, answer: this.#ask(camera, alike, now) };
    this.#asked.set(device.id, asking);
    try {
      return await asking.answer;
    } finally {
      if (this.#asked.get(device.id) === asking) this.#asked.delete(device.id);
    }
  }

  async #ask(camera: Camera, alike: boolean, atMono: number): Promise<Admission> {
    const { device, main } = camera;
    // Whoever is switched off is not asked who it is.
    if (!(await this.#givesVideo(main.uri))) {
      this.#unproven.delete(device.id);
      return { ok: false, other: false, detail: 'the camera does not answer' };
    }
    if (device.xaddr === '') return this.#askStream(camera, atMono);
    const known = device.endpointReference;
    const reference = known === '' ? undefined : await this.deps.referenceAt(device.address);
    if (reference !== undefined) {
      if (referenceKey(reference) !== referenceKey(known)) return stranger();
    } else if (alike) {
      return { ok: false, other: false, detail: 'two cameras look the same; this one does not say which it is' };
    }
    try {
      const info = await this.deps.identify(device);
      if (!isSame(device, info)) return stranger();
      this.met(device.id, atMono);
      await this.deps.onMet(device, info);
      return { ok: true };
    } catch (error) {
      const code = errorCode(error);
      if (code !== 'CAMERA_UNREACHABLE' && code !== 'CAMERA_INVALID') {
        const fix = error instanceof BluelightError && error.fix !== undefined ? `; ${error.fix}` : '';
        return { ok: false, other: false, detail: `${errorMessage(error)}${fix}` };
      }
      return this.#withoutProof(device, errorMessage(error));
    }
  }

  /** Added by its stream address alone: what it says before any login is all there is, and the hardware address. */
  async #askStream(camera: Camera, atMono: number): Promise<Admission> {
    const { device } = camera;
    try {
      const traits = await this.deps.traits(camera);
      if (device.stream === undefined) await this.deps.onTraits(device, traits);
      else if (!isSameStream(device.stream, traits)) return strangeStream();
      this.met(device.id, atMono);
      return { ok: true };
    } catch (error) {
      if (!(error instanceof BluelightError)) throw error;
      return this.#withoutProof(device, error.message);
    }
  }

  /** A camera whose ONVIF stays silent while it gives video is recorded after a while: footage counts more. */
  #withoutProof(device: Device, why: string): Admission {
    const now = this.deps.clock.monotonic();
    const since = this.#unproven.get(device.id) ?? now;
    this.#unproven.set(device.id, since);
    if (now - since >= UNPROVEN_MS) return { ok: true };
    return { ok: false, other: false, detail: `it gives video, but does not say who it is: ${why}` };
  }

  #givesVideo(uri: string): Promise<boolean> {
    const url = new URL(uri);
    const port = url.port === '' ? 554 : Number(url.port);
    return portOpen(this.deps.clock, url.hostname.replace(/^\[|\]$/g, ''), port, CONNECT_MS);
  }
}

function stranger(): Admission {
  return { ok: false, other: true, detail: 'another device answers at its address; it is being looked for' };
}

function strangeStream(): Admission {
  const detail = 'another camera seems to answer at its address; give that one another address, or add this one again';
  return { ok: false, other: true, detail };
}

/**
 * Whether this can be the adopted device. Firmware may be new; where the hardware address is the same, so may the names
 * of make and model.
 */
export function isSame(device: Device, info: DeviceInfo): boolean {
  const bothMacs = device.mac !== '' && info.mac !== '';
  if (bothMacs && device.mac !== info.mac) return false;
  if (device.serial !== info.serial) return false;
  return bothMacs || (device.make === info.make && device.model === info.model);
}

/** Whether two devices cannot be told apart by what they say of themselves after a login. */
export function looksAlike(a: Device, b: Device): boolean {
  return a.id !== b.id && isSame(a, b);
}
