import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { Camera, CameraEvent, Device, EventSource } from '../contract/camera.js';
import { toUtc } from '../contract/primitives.js';
import type { EventChannel } from './driver.js';
import type { Notice } from './event-notices.js';
import { EventWatch } from './event-watch.js';

export interface EventDeskDeps {
  clock: Clock;
  log: Log;
  open: (device: Device) => Promise<EventChannel>;
  /** Whether no login to the device may be tried. */
  held: (device: Device) => boolean;
  onEvent: (event: CameraEvent) => void;
  onSource: ((device: string, source: EventSource) => void) | undefined;
}

interface Watched {
  /** A device that moved or was given another password is asked anew. */
  key: string;
  cameras: Camera[];
  watch: EventWatch;
  source: EventSource;
}

const PIXELS: EventSource = { by: 'pixels', detail: 'the camera is not asked for events' };

/** One event subscription for each adopted device. */
export class EventDesk {
  readonly #watched = new Map<string, Watched>();

  constructor(private readonly deps: EventDeskDeps) {}

  source(device: string): EventSource {
    return this.#watched.get(device)?.source ?? PIXELS;
  }

  /** Begins and ends subscriptions as the adopted cameras say. `print` changes with the credentials of a device. */
  async follow(cameras: readonly Camera[], print: (device: string) => string): Promise<void> {
    const devices = new Map(cameras.map((camera) => [camera.device.id, camera.device]));
    for (const id of [...this.#watched.keys()]) if (!devices.has(id)) await this.#end(id);
    for (const device of devices.values()) {
      if (device.xaddr === '') continue;
      const key = `${device.xaddr} ${device.certificate ?? ''} ${print(device.id)}`;
      const own = cameras.filter((camera) => camera.device.id === device.id);
      const old = this.#watched.get(device.id);
      if (old?.key === key) {
        old.cameras = own;
        continue;
      }
      await this.#end(device.id);
      this.#begin(device, own, key);
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#watched.keys()].map((id) => this.#end(id)));
  }

  #begin(device: Device, cameras: Camera[], key: string): void {
    const { clock, log, open, held } = this.deps;
    const watch = new EventWatch({
      clock,
      open: () => open(device),
      held: () => held(device),
      onNotice: (notice) => this.#tell(device.id, notice),
      onSource: (source) => {
        const entry = this.#watched.get(device.id);
        if (entry === undefined || (entry.source.by === source.by && entry.source.detail === source.detail)) return;
        if (entry.source.by !== source.by) log.info({ device: device.id, ...source }, 'who tells of motion');
        entry.source = source;
        this.deps.onSource?.(device.id, source);
      },
    });
    this.#watched.set(device.id, { key, cameras, watch, source: PIXELS });
    watch.start();
  }

  async #end(id: string): Promise<void> {
    const old = this.#watched.get(id);
    this.#watched.delete(id);
    await old?.watch.stop();
  }

  #tell(device: string, notice: Notice): void {
    const { clock, onEvent } = this.deps;
    const { kind, topic, source, initial } = notice;
    const camera = cameraOf(this.#watched.get(device)?.cameras ?? [], notice);
    const at = toUtc(clock.now());
    onEvent({ camera, device, kind, topic, source, active: notice.active === true, initial, at });
  }
}

/** The camera that a message is about: the only one, or the one whose video source it names, also inside another token. */
function cameraOf(cameras: readonly Camera[], { source, kind }: Notice): string | null {
  if (kind === 'input' || kind === 'relay') return null;
  if (cameras.length === 1) return cameras[0]!.id;
  const exact = cameras.find((camera) => camera.channel === source);
  const inside = cameras.filter((camera) => camera.channel !== '' && source.endsWith(camera.channel));
  return exact?.id ?? (inside.length === 1 ? inside[0]!.id : null);
}
