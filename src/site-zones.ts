import { BluelightError } from './base/errors.js';
import { motionZones, type MotionZones } from './contract/zones.js';
import type { Recording } from './recording.js';
import type { Store } from './store/client.js';

export interface SiteZonesOptions {
  store: Store;
  media: Recording['media'];
  /** Of the site; schedules count in it. */
  timeZone: () => string;
}

const key = (camera: string): string => `motion.zones.${camera}`;

/** Which part of each camera's motion is told: kept over restarts, in force at once. */
export class SiteZones {
  constructor(private readonly o: SiteZonesOptions) {}

  /** @throws BluelightError ZONES_UNREADABLE: they are of another version; nothing is guessed */
  async get(camera: string): Promise<MotionZones> {
    const found = motionZones.safeParse((await this.o.store.kv.get(key(camera))) ?? {});
    if (found.success) return found.data;
    throw new BluelightError('ZONES_UNREADABLE', `the zones of ${camera} cannot be read`, {
      fix: `set them anew: bluelight zones set ${camera}`,
    });
  }

  async set(camera: string, zones: MotionZones): Promise<void> {
    await this.o.store.kv.put({ key: key(camera), value: zones });
    await this.apply(camera);
  }

  /** Tells motion, also after the site's time zone has changed. */
  async apply(camera: string): Promise<void> {
    await this.o.media.setZones({ camera, zones: await this.get(camera), timeZone: this.o.timeZone() });
  }
}
