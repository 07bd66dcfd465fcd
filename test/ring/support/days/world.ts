import { generateKeyPairSync } from 'node:crypto';
import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { verifyChain } from '../../../../src/proof/chain.js';
import { signerFromKey } from '../../../../src/proof/keys.js';
import type { ClockTrust, Protection } from '../../../../src/ring/types.js';
import { randomOf } from '../campaign.js';
import { limits, Rig } from '../rig.js';
import { FRAGMENT_MS, SimCamera } from './camera.js';
import { filesOf, SimDisk } from './disk.js';
import { overlaps, StreamModel, Taken, type Answer, type Interval } from './model.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SEGMENT_MS = 2 * FRAGMENT_MS;
/** A tick makes safe what came so long ago. */
const SYNCED_MS = 700;
const LEGAL_MS = 5 * DAY;

export interface DaysOptions {
  seed: number;
  days: number;
  cameras: number;
}

/** A box, its disk, its cameras and their time, with a model of what must be told of every stream. */
export class World {
  readonly options: DaysOptions;
  readonly random: () => number;
  readonly disk: SimDisk;
  readonly rig: Rig;
  readonly cameras: SimCamera[];
  readonly models: Map<string, StreamModel>;
  readonly limits;
  readonly problems: string[] = [];
  protections: Protection[] = [];
  /** Whose time the clock of the box shows is off by this. */
  jumpMs = 0;
  /** Where it was off. */
  readonly doubted: Interval[] = [];
  asked = 0;
  proved = 0;
  evicted = 0;
  readonly startMs: number;
  readonly #trueOffset: number;
  #boot = 1;
  /** The rules of age are looked at once a minute, from a minute after the start on. */
  #justStarted = false;
  #fedMono = 0;
  /** The least that the ring has told since the files were looked at. */
  #floorShare = 1;

  constructor(options: DaysOptions) {
    this.options = options;
    this.random = randomOf(options.seed);
    const share = options.cameras / 16;
    this.limits = limits({
      quotaBytes: Math.round(share * this.pick([9e6, 14e6, 24e6]) + 5e6),
      reserveBytes: 1e6,
      floorMs: DAY,
      originalsMs: 3 * DAY,
      keepMs: 12 * DAY,
      maximumMs: { 'cam-0': LEGAL_MS },
    });
    this.disk = new SimDisk(this.limits.quotaBytes + 6e6);
    this.rig = new Rig({
      limits: this.limits,
      segmentMs: SEGMENT_MS,
      journalFileBytes: 60_000,
      io: this.disk.io,
      freeBytes: () => this.disk.freeBytes(),
      signer: signerFromKey(generateKeyPairSync('ed25519').privateKey),
    }).open();
    this.startMs = this.rig.clock.wall;
    this.#trueOffset = this.rig.clock.wall - this.rig.clock.mono;
    this.cameras = Array.from(
      { length: options.cameras },
      (_, i) => new SimCamera(`cam-${i}`, this.rig.clock, this.random),
    );
    this.models = new Map(this.cameras.flatMap(({ streams }) => streams.map((name) => [name, new StreamModel()])));
    this.rig.ring.setProtections([]);
    // It has seen the right time before anything happens to the clock.
    this.rig.ring.tick();
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)]!;
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  get nowMs(): number {
    return this.rig.clock.mono + this.#trueOffset;
  }

  modelsOf(camera: SimCamera): StreamModel[] {
    return camera.streams.map((name) => this.models.get(name)!);
  }

  begin(camera: SimCamera): void {
    camera.begin(this.rig.ring);
    for (const model of this.modelsOf(camera)) {
      model.known = true;
      model.begunMs = this.nowMs;
    }
  }

  end(camera: SimCamera, reason: Parameters<SimCamera['end']>[1]): void {
    camera.end(this.rig.ring, reason);
    for (const model of this.modelsOf(camera)) {
      model.known = true;
      model.stop(reason, this.nowMs);
    }
  }

  protect(list: Protection[]): void {
    this.protections = list;
    this.rig.ring.setProtections(list);
  }

  /** What was sent meanwhile is handed to the ring, and the model told what of it the disk took. */
  feed(): void {
    for (const camera of this.cameras) {
      for (const offered of camera.due(this.#trueOffset)) {
        const { stream, fromMs, toMs, fragment } = offered;
        camera.offer(this.rig.ring, offered);
        const model = this.models.get(stream)!;
        const path = this.disk.written.get(fragment.bytes);
        if (path === undefined) model.refused(this.nowMs);
        else model.took(path, { fromMs, toMs, bytes: fragment.bytes.length });
        if (path !== undefined && this.disk.freeBytes() < 0)
          this.problem(`${stream} was written beyond the disk's end`);
      }
    }
    this.disk.written.clear();
    this.#fedMono = this.rig.clock.mono;
    this.#seeFloors();
  }

  /** A clean stop, a kill, or a power cut and another boot; all cameras begin again or say why not. */
  restart(how: 'stop' | 'kill' | 'reboot'): void {
    for (const model of this.models.values()) {
      if (how === 'stop') {
        if (model.known) model.stop('agent_stopped', this.nowMs);
      } else if (model.openFile !== undefined) {
        model.stop('agent_crashed', this.nowMs);
      }
      model.known = false;
    }
    const wereOn = this.cameras.filter((camera) => camera.recording);
    for (const camera of this.cameras) camera.forget();
    const boot = { bootId: `boot-${how === 'reboot' ? ++this.#boot : this.#boot}` };
    this.#justStarted = true;
    // Without a battery the clock begins anew.
    if (how === 'reboot' && this.chance(0.4)) this.setClock(40_000 - this.nowMs, 'none');
    if (how === 'stop') this.rig.restart(boot);
    else this.rig.crash(boot);
    this.rig.ring.setProtections(this.protections);
    for (const camera of wereOn) {
      if (this.chance(0.8)) this.begin(camera);
      else this.end(camera, 'camera_offline');
    }
  }

  /** Nobody vouches for a clock that jumped back; a jump forward may go unnoticed. */
  setClock(jumpMs: number, trust?: ClockTrust): void {
    const { clock } = this.rig;
    clock.pass(1_000);
    if (this.jumpMs !== 0) this.doubted.at(-1)!.toMs = this.nowMs;
    if (jumpMs !== 0) this.doubted.push({ fromMs: this.nowMs, toMs: Infinity });
    clock.wall += jumpMs - this.jumpMs;
    this.#justStarted = true;
    this.jumpMs = jumpMs;
    this.rig.trust = trust ?? (jumpMs < 0 || (jumpMs > 0 && this.chance(0.5)) ? 'rtc' : 'ntp');
  }

  rebuild(): void {
    for (const camera of this.cameras) {
      if (camera.recording) for (const model of this.modelsOf(camera)) model.broken('disk_failed');
    }
    this.#justStarted = true;
    this.rig.ring.rebuild();
    while (this.rig.ring.rebuildStep());
  }

  step(): void {
    const { ring, clock } = this.rig;
    ring.tick();
    if (clock.mono - this.#fedMono >= SYNCED_MS) for (const model of this.models.values()) model.synced();
    this.#seeFloors();
    this.look();
    this.#stale();
    for (const model of this.models.values()) model.forget(this.doubted, this.nowMs);
    if (this.chance(0.1)) this.inspect(4);
    clock.pass(1_000);
    this.rig.ring.tick();
    for (const model of this.models.values()) model.synced();
    this.#seeFloors();
    this.look();
    this.#floorShare = 1;
    this.#justStarted = false;
  }

  /** Which files are there? Each that is gone must have been allowed to go. */
  look(): void {
    for (const [name, model] of this.models) {
      const there = filesOf(this.rig.directory, name);
      const missing = model.kept.filter((file) => !there.delete(file.path));
      for (const path of there) this.problem(`${path} is on the disk and was never written`);
      for (const file of missing) {
        file.gone = true;
        file.goneInDoubt = (this.jumpMs !== 0 || this.#justStarted) && this.doubted.some((d) => overlaps(d, file));
        this.evicted++;
        this.#mayGo(name, model, file);
      }
    }
  }

  /** What is too old must be gone by now. */
  #stale(): void {
    for (const [name, model] of this.models) {
      for (const file of model.kept) if (!file.open) this.#mayStay(name, file);
    }
  }

  /** `count` random ranges of random streams are asked for and held against the model. */
  inspect(count: number): void {
    if (this.jumpMs !== 0) return;
    for (let i = 0; i < count; i++) {
      const [name, model] = this.pick([...this.models]);
      this.compare(name, model, this.#someRange(model));
      const provable = model.kept.filter((file) => file.published);
      if (provable.length > 0) this.prove(name, this.pick(provable));
    }
  }

  /** Every head is published: what is kept of now must stay provable. */
  checkpoint(): void {
    this.rig.ring.checkpoint({ site: 'north', box: 'box-1', audit: null });
    for (const model of this.models.values()) {
      for (const file of model.kept) file.published ||= !file.open;
    }
  }

  /** The records behind a kept file are there up to its checkpoint, whatever of their media is gone. */
  prove(name: string, file: Taken): void {
    this.proved++;
    const seq = Number(basename(file.path, '.mp4'));
    const anchor = this.rig.ring.anchor(name, seq);
    if (anchor === null) return this.problem(`${name} ${this.#words(file)} cannot be proved any more`);
    const [first] = anchor.records;
    if (first !== undefined && first.seq !== seq + 1) this.problem(`${name} ${seq}: proved from ${first.seq} on`);
    for (const { code, message } of verifyChain(anchor.records)) this.problem(`${name} ${seq}: ${code} ${message}`);
  }

  compare(name: string, model: StreamModel, range: Interval): void {
    this.asked++;
    const { spans, gaps, bytes } = this.rig.ring.coverage(name, range.fromMs, range.toMs);
    const said: Answer = {
      spans: spans.map(({ fromMs, toMs, open }) => ({ fromMs, toMs, open: open === true })),
      gaps: model.forgetLate(gaps),
      bytes,
    };
    const right = model.answer(range, this.nowMs);
    if (isDeepStrictEqual(said, right)) return;
    const only = (some: Answer, other: Answer): string =>
      [...some.spans, ...some.gaps]
        .filter((one) => ![...other.spans, ...other.gaps].some((two) => isDeepStrictEqual(one, two)))
        .map((one) => this.#words(one))
        .join() || `${some.bytes} bytes`;
    this.problem(`${name} ${this.#words(range)}: said ${only(said, right)} and not ${only(right, said)}`);
  }

  problem(what: string): void {
    this.problems.push(`day ${this.#day(this.nowMs)}: ${what}`);
  }

  isProtected(name: string, of: Interval): boolean {
    return this.protections.some(
      (item) =>
        (item.role === undefined ? name.startsWith(`${item.camera}.`) : name === `${item.camera}.${item.role}`) &&
        overlaps(of, item),
    );
  }

  #seeFloors(): void {
    this.#floorShare = Math.min(this.#floorShare, this.rig.ring.status(Infinity).floorShare);
  }

  #ageLimit(name: string, file: Taken): number {
    const legal = this.limits.maximumMs[name.split('.')[0]!] ?? Infinity;
    const tier = name.endsWith('.main') && !file.motion ? this.limits.originalsMs! : Infinity;
    return Math.min(legal, tier, this.limits.keepMs!);
  }

  #mayGo(name: string, model: StreamModel, file: Taken): void {
    const what = `${name} ${this.#words(file)}`;
    if (file.open) this.problem(`${what} was deleted while it was written`);
    if (this.isProtected(name, file)) this.problem(`${what} was held and deleted`);
    if (this.nowMs - file.toMs > this.#ageLimit(name, file)) return;
    const older = model.kept.find((other) => other.fromMs < file.fromMs && !this.isProtected(name, other));
    if (older !== undefined) this.problem(`${what} was deleted before ${this.#words(older)}`);
    const left = model.kept.reduce((sum, one) => sum + (one.open ? 0 : one.toMs - one.fromMs), 0);
    const floor = this.limits.floorMs * this.#floorShare;
    if (left < floor) this.problem(`${what} was deleted, and only ${left / HOUR} h are left of ${floor / HOUR} h`);
  }

  #mayStay(name: string, file: Taken): void {
    // Of a boot that has never known the time nothing grows old.
    if (this.#justStarted || this.rig.trust === 'none' || this.isProtected(name, file)) return;
    const limit = this.#ageLimit(name, file);
    if (this.nowMs - file.toMs <= limit + 2 * HOUR) return;
    this.problem(`${name} ${this.#words(file)} is older than ${limit / DAY} days`);
  }

  /** Anywhere, and often exactly where something begins or ends. */
  #someRange(model: StreamModel): Interval {
    const edges = [...model.files, ...model.gaps].flatMap(({ fromMs, toMs }) => [fromMs, toMs]);
    const somewhen = (): number =>
      edges.length > 0 && this.chance(0.5)
        ? this.pick(edges) + this.pick([-1, 0, 1])
        : this.startMs - DAY + Math.round(this.random() * (this.nowMs + 2 * DAY - this.startMs));
    const [a, b] = [somewhen(), somewhen()];
    if (a === b || this.chance(0.2)) return { fromMs: this.startMs - DAY, toMs: this.nowMs + DAY };
    return { fromMs: Math.min(a, b), toMs: Math.max(a, b) };
  }

  #day(ms: number): string {
    return ((ms - this.startMs) / DAY).toFixed(3);
  }

  /** Times as days of the simulation. */
  #words(value: object): string {
    if (value instanceof Taken) return this.#words({ fromMs: value.fromMs, toMs: value.toMs });
    return JSON.stringify(value, (key, one: unknown) =>
      (key === 'fromMs' || key === 'toMs') && typeof one === 'number' ? this.#day(one) : one,
    );
  }
}
