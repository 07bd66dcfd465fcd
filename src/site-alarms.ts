import { z } from 'zod';
import type { Clock } from './base/clock.js';
import { errorCode } from './base/errors.js';
import type { Log } from './base/log.js';
import { alarm as alarmSchema, type Alarm } from './contract/alarm.js';
import { AlarmDesk, type Fact } from './health/alarms.js';
import { cameraFacts, type SightFault } from './health/camera-faults.js';
import { StreamHabits } from './health/stream-habit.js';
import type { IngestStatus } from './ingest/ports.js';
import type { Store } from './store/client.js';
import type { MediaNotes } from './threads.js';

export interface SiteAlarmsOptions {
  clock: Clock;
  log: Log;
  store: Store;
  streams: () => IngestStatus[];
  /** Camera minus box, ms, by camera. */
  cameraClocks: () => ReadonlyMap<string, number>;
  /** Whatever else may be wrong: asked every two seconds. */
  facts?: () => Fact[];
  /** On its way to the center. */
  send: (alarm: Alarm, state: 'raised' | 'cleared') => Promise<void>;
  onAlarm: (alarm: Alarm) => void;
  background: (work: Promise<unknown>) => void;
}

const KNOWN = 'alarms';
const evidenceKey = (id: string): string => `alarm.evidence.${id}`;
const viewKey = (camera: string): string => `camera.view.${camera}`;
const evidenceDoc = z.object({ before: z.base64(), now: z.base64() });
const TICK_MS = 2_000;

/** What is wrong on this site: facts from every room, kept over restarts, told to people and to the center. */
export class SiteAlarms {
  readonly #o: SiteAlarmsOptions;
  readonly #desk: AlarmDesk;
  readonly #habits = new StreamHabits();
  readonly #sights = new Map<string, SightFault & { before: Uint8Array; now: Uint8Array }>();
  readonly #unsent: { alarm: Alarm; state: 'raised' | 'cleared' }[] = [];
  #sending = false;
  /** By camera: since when it tells motion without end. */
  readonly #storms = new Map<string, number>();
  /** By camera: since when its pictures cannot be looked at. */
  readonly #blind = new Map<string, number>();
  #stop = (): void => undefined;

  private constructor(options: SiteAlarmsOptions, known: Alarm[]) {
    this.#o = options;
    this.#desk = new AlarmDesk({
      clock: options.clock,
      known,
      onChange: (alarm, state) => options.background(this.#changed(alarm, state)),
    });
  }

  static async open(options: SiteAlarmsOptions): Promise<SiteAlarms> {
    const known = z.array(alarmSchema).safeParse(await options.store.kv.get(KNOWN));
    return new SiteAlarms(options, known.success ? known.data : []);
  }

  start(): void {
    this.#stop = this.#o.clock.every(TICK_MS, () => {
      this.#settle();
      // Not waited for: it may hang with the system disk, and that is the next alarm.
      this.#o.background(this.#send());
    });
  }

  stop(): void {
    this.#stop();
  }

  get active(): Alarm[] {
    return this.#desk.active;
  }

  list(): Alarm[] {
    return this.#desk.list();
  }

  sight({ camera, state, kind, onvif, hint, sinceMs, before, now }: MediaNotes['sight']): void {
    const key = `${kind} ${camera}`;
    if (state === 'raised') this.#sights.set(key, { camera, kind, onvif, hint, sinceMs, before, now });
    else this.#sights.delete(key);
    this.#settle();
  }

  storm({ camera, sinceMs }: MediaNotes['storm']): void {
    if (sinceMs === null) this.#storms.delete(camera);
    else this.#storms.set(camera, sinceMs);
    this.#settle();
  }

  blind({ camera, sinceMs }: MediaNotes['blind']): void {
    if (sinceMs === null) this.#blind.delete(camera);
    else this.#blind.set(camera, sinceMs);
    this.#settle();
  }

  /** Cameras that are not watched any more. */
  keep(cameras: ReadonlySet<string>): void {
    for (const [key, { camera }] of this.#sights) if (!cameras.has(camera)) this.#sights.delete(key);
    for (const told of [this.#storms, this.#blind]) {
      for (const camera of told.keys()) if (!cameras.has(camera)) told.delete(camera);
    }
    for (const { camera } of this.active) if (camera !== null && !cameras.has(camera)) this.#desk.forget(camera);
  }

  /** PNG; null: there is none, or none any more. */
  async evidence(id: string, which: 'before' | 'now'): Promise<Uint8Array | null> {
    const found = evidenceDoc.safeParse(await this.#o.store.kv.get(evidenceKey(id)));
    return found.success ? Buffer.from(found.data[which], 'base64') : null;
  }

  async saveView({ camera, view }: MediaNotes['view']): Promise<void> {
    await this.#o.store.kv.put({ key: viewKey(camera), value: Buffer.from(view).toString('base64') });
  }

  /** Null: not known. */
  async viewOf(camera: string): Promise<Uint8Array | null> {
    const kept: unknown = await this.#o.store.kv.get(viewKey(camera));
    return typeof kept === 'string' ? new Uint8Array(Buffer.from(kept, 'base64')) : null;
  }

  async forgetView(camera: string): Promise<void> {
    await this.#o.store.kv.remove(viewKey(camera));
  }

  #settle(): void {
    const { clock, streams, cameraClocks, facts } = this.#o;
    const now = streams();
    const odd = this.#habits.observe(now, clock.monotonic());
    const sights = [...this.#sights.values()];
    const reading = { streams: now, odd, clocks: cameraClocks(), sights, storms: this.#storms, blind: this.#blind };
    this.#desk.settle([...cameraFacts(reading), ...(facts?.() ?? [])]);
  }

  async #changed(alarm: Alarm, state: 'raised' | 'cleared'): Promise<void> {
    const { log, store, onAlarm } = this.#o;
    const { id, kind, camera, message } = alarm;
    log.warn({ alarm: id, kind, camera, state }, message);
    onAlarm(alarm);
    this.#unsent.push({ alarm, state });
    this.#o.background(this.#send());
    const before = z.array(alarmSchema).safeParse(await store.kv.get(KNOWN));
    const list = this.list();
    const sight = this.#sights.get(`${kind.replace(/^camera\./, '')} ${camera ?? ''}`);
    if (state === 'raised' && sight !== undefined) await this.#keep(id, sight);
    await store.kv.put({ key: KNOWN, value: list });
    const gone = before.success ? before.data.filter((one) => list.every((other) => other.id !== one.id)) : [];
    for (const one of gone) await store.kv.remove(evidenceKey(one.id));
  }

  /** In order, and again while the system disk refuses: an alarm about a disk comes when disks fail. */
  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
        await this.#o.send(next.alarm, next.state).catch((error: unknown) => {
          // It has not failed but waits behind what hangs, and is done when that is.
          if (errorCode(error) !== 'THREAD_SLOW') throw error;
        });
        this.#unsent.shift();
      }
    } finally {
      this.#sending = false;
    }
  }

  async #keep(id: string, sight: { before: Uint8Array; now: Uint8Array }): Promise<void> {
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
    const value = { before: text(sight.before), now: text(sight.now) };
    await this.#o.store.kv.put({ key: evidenceKey(id), value });
  }
}
