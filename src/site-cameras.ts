import type { Clock } from './base/clock.js';
import type { Log, Redactor } from './base/log.js';
import { createCameras, type Cameras } from './cameras/cameras.js';
import { errorMessage } from './base/errors.js';
import type { Camera, CameraEvent } from './contract/camera.js';
import type { Admission, IngestCamera } from './ingest/ports.js';
import type { Recording } from './recording.js';
import type { Settings } from './settings/table.js';
import type { Store } from './store/client.js';

export interface SiteCamerasOptions {
  clock: Clock;
  log: Log;
  redactor: Redactor;
  settings: Settings;
  store: Store;
  recording: Pick<Recording, 'keep' | 'media' | 'streams'>;
  /** Carries on in the background what may fail without harm. */
  background: (work: Promise<unknown>) => void;
  /** Cameras were adopted, changed or removed, and are recorded accordingly. */
  onChanged: (cameras: ReadonlySet<string>) => void;
  /** The view that a camera had when the agent ran last. */
  viewOf: (camera: string) => Promise<Uint8Array | null>;
  /** Tells motion the zones of a camera. */
  /** Of the box. */
  clockTrusted: () => boolean;
  applyZones: (camera: string) => Promise<void>;
  /** What a camera's own sensors tell. */
  onEvent: (event: CameraEvent) => void;
}

/** A camera's clock drifts by seconds in a day; a wrong time zone stands out at once. */
const CLOCKS_MS = 30_000;
const REFUSED = 'cameras.refused';
/** How soon a camera that gives no pictures is missed. */
const MISSING_MS = 2_000;

/** The cameras of the site, and that what is adopted is what is recorded. */
export class SiteCameras {
  readonly room: Cameras;
  readonly #o: SiteCamerasOptions;
  #adopted: Camera[] = [];
  #clocks: ReadonlyMap<string, number> = new Map();
  #stops: (() => void)[] = [];
  /** Cameras whose earlier view was looked for. */
  readonly #seen = new Set<string>();

  constructor(options: SiteCamerasOptions) {
    const { clock, log, redactor, settings, store, recording, background, onEvent } = options;
    this.#o = options;
    this.room = createCameras({
      clock,
      log,
      redactor,
      cameras: store.cameras,
      credentials: store.credentials,
      held: {
        async load() {
          const devices: unknown = await store.kv.get(REFUSED);
          return Array.isArray(devices) ? devices.filter((one) => typeof one === 'string') : [];
        },
        save: (devices) => store.kv.put({ key: REFUSED, value: devices }),
      },
      interfaces: settings['cameras.interfaces'],
      allowLoopback: settings['cameras.allow_loopback'],
      basicLogin: settings['cameras.basic_login'],
      onChanged: () => background(this.record()),
      onRefused: (refused, login) => {
        for (const camera of refused) background(recording.media.refuse({ camera, login }));
      },
      onEvent: (event) => {
        if (event.kind === 'motion' && event.camera !== null) background(this.#motion(event.camera, event.active));
        onEvent(event);
      },
      onSource: (device, { by }) => {
        if (by !== 'pixels') return;
        for (const camera of this.#adopted) if (camera.device.id === device) background(this.#motion(camera.id, null));
      },
    });
  }

  get adopted(): readonly Camera[] {
    return this.#adopted;
  }

  /** Camera minus box in ms, of those that told their time. */
  get clocks(): ReadonlyMap<string, number> {
    return this.#clocks;
  }

  start(): void {
    const { clock, recording, background } = this.#o;
    const clocks = async (): Promise<void> => {
      this.#clocks = await this.room.clocks(this.#o.clockTrusted());
    };
    const missing = (): Promise<void> => {
      const alive = recording.streams().filter((stream) => stream.state === 'recording');
      return this.room.streaming(new Set(alive.map((stream) => stream.camera)));
    };
    this.#stops = [clock.every(CLOCKS_MS, clocks), clock.every(MISSING_MS, missing)];
    background(this.room.start());
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) stop();
    await this.room.stop();
  }

  /** Whether it is this camera that answers at its address. A question that fails is a no: the stream asks again. */
  async admit(camera: string, sinceMono: number): Promise<Admission> {
    try {
      return await this.room.admit(camera, sinceMono);
    } catch (error) {
      return { ok: false, detail: errorMessage(error) };
    }
  }

  /** Records what is adopted, and nothing else. */
  async record(): Promise<void> {
    const { recording, onChanged } = this.#o;
    this.#adopted = await this.room.list();
    const ids = new Set(this.#adopted.map((camera) => camera.id));
    recording.keep(ids);
    await this.#restoreViews(ids);
    await recording.media.setCameras(await Promise.all(this.#adopted.map((camera) => this.#ingest(camera))));
    onChanged(ids);
  }

  /** What the camera itself says of motion; null: nobody tells for it any more. */
  async #motion(camera: string, active: boolean | null): Promise<void> {
    await this.#o.recording.media.cameraMotion({ camera, active });
  }

  async #restoreViews(cameras: ReadonlySet<string>): Promise<void> {
    for (const camera of cameras) {
      if (this.#seen.has(camera)) continue;
      this.#seen.add(camera);
      const view = await this.#o.viewOf(camera);
      await this.#o.applyZones(camera);
      if (view !== null) await this.#o.recording.media.setView({ camera, view });
    }
    for (const camera of this.#seen) if (!cameras.has(camera)) this.#seen.delete(camera);
  }

  async #ingest({ id, main, sub }: Camera): Promise<IngestCamera> {
    return {
      id,
      ...(await this.room.credentialsOf(id)),
      streams: [
        { role: 'main' as const, uri: main.uri },
        ...(sub === null ? [] : [{ role: 'sub' as const, uri: sub.uri }]),
      ],
    };
  }
}
