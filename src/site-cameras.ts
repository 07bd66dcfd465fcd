import type { Clock } from './base/clock.js';
import type { Log, Redactor } from './base/log.js';
import { createCameras, type Cameras } from './cameras/cameras.js';
import type { Camera } from './contract/camera.js';
import type { IngestCamera } from './ingest/ports.js';
import type { Recording } from './recording.js';
import type { Settings } from './settings/table.js';
import type { Store } from './store/client.js';

export interface SiteCamerasOptions {
  clock: Clock;
  log: Log;
  redactor: Redactor;
  settings: Settings;
  store: Store;
  recording: Pick<Recording, 'keep' | 'media'>;
  /** Carries on in the background what may fail without harm. */
  background: (work: Promise<unknown>) => void;
  /** Cameras were adopted, changed or removed, and are recorded accordingly. */
  onChanged: () => void;
}

/** A camera's clock drifts by seconds in a day; a wrong time zone stands out at once. */
const CLOCKS_MS = 60_000;

/** The cameras of the site, and that what is adopted is what is recorded. */
export class SiteCameras {
  readonly room: Cameras;
  readonly #o: SiteCamerasOptions;
  #adopted: Camera[] = [];
  #clocks: ReadonlyMap<string, number> = new Map();
  #stop = (): void => undefined;

  constructor(options: SiteCamerasOptions) {
    const { clock, log, redactor, settings, store, recording, background } = options;
    this.#o = options;
    this.room = createCameras({
      clock,
      log,
      redactor,
      cameras: store.cameras,
      credentials: store.credentials,
      interfaces: settings['cameras.interfaces'],
      allowLoopback: settings['cameras.allow_loopback'],
      onChanged: () => background(this.record()),
      onRefused: (refused) => {
        for (const camera of refused) background(recording.media.refuse(camera));
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
    this.#stop = this.#o.clock.every(CLOCKS_MS, async () => {
      this.#clocks = await this.room.clocks();
    });
  }

  stop(): void {
    this.#stop();
  }

  /** Records what is adopted, and nothing else. */
  async record(): Promise<void> {
    const { recording, onChanged } = this.#o;
    this.#adopted = await this.room.list();
    recording.keep(new Set(this.#adopted.map((camera) => camera.id)));
    await recording.media.setCameras(await Promise.all(this.#adopted.map((camera) => this.#ingest(camera))));
    onChanged();
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
