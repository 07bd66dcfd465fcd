import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.js';
import { silentLog } from '../../src/base/log.js';
import { systemProcesses } from '../../src/base/processes.js';
import type { DeviceStatus } from '../../src/contract/camera.js';
import { accessUnitsOf, parseFile } from '../../src/media/mp4.js';
import { readFrameStamp, type FrameStamp } from '../../src/media/sei.js';
import { startVirtualCameras, type VirtualCamera, type VirtualCameras } from '../../src/sim/camera/index.js';
import { NO_FAULTS } from '../../src/sim/camera/options.js';
import { until } from './program.js';
import { Site } from './site.js';

/** One way in which a camera goes away or mad, and how it is cured. Resolves at the moment of the cure. */
export interface Outage {
  name: string;
  run(camera: VirtualCamera, lab: Lab): Promise<void>;
}

export interface OutageResult {
  name: string;
  /** From the cure to the first picture on the disk that was taken after it, ms; undefined: none came. */
  backMs: number | undefined;
  /** Pictures of another camera under this one's name. */
  mixUps: number;
  refusedLogins: number;
}

export interface MatrixResult {
  outages: OutageResult[];
  /** Pictures that the cameras without any fault lack. */
  bystandersLost: number;
  problems: string[];
}

/** A recording that is back later than this after the cure is a failure. */
export const BACK_MS = 30_000;
const SETTLE_MS = 45_000;
/** Of footage that shows that a camera goes on after it is back. */
const AFTER_MS = 3_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const OUTAGES: readonly Outage[] = [
  {
    name: 'off for 10 s',
    async run(camera) {
      await camera.stop();
      await pause(10_000);
      await camera.start();
    },
  },
  { name: 'reboot', run: (camera) => camera.reboot(3_000) },
  { name: 'new address', run: (camera, lab) => camera.move(lab.freeAddress(), 1_000) },
  { name: 'half-open', run: (camera) => fault(camera, { halfOpen: true }, 12_000) },
  { name: 'frozen', run: (camera) => fault(camera, { freeze: 'silent' }, 12_000) },
  {
    name: 'new password',
    async run(camera, lab) {
      camera.setFaults({ password: 'another-Passw0rd' });
      await camera.reboot(500);
      await lab.untilLink(camera, 'auth_failed');
      await lab.password(camera, 'another-Passw0rd');
    },
  },
  { name: 'new resolution', run: (camera) => camera.changeVideo('main', { width: 480, height: 270 }) },
  { name: 'garbage', run: (camera) => fault(camera, { garbage: 'wire' }, 8_000) },
  { name: 'garbage in packets', run: (camera) => fault(camera, { garbage: 'payload' }, 8_000) },
  { name: 'slow-loris', run: (camera) => rebooted(camera, { slow: true }, 10_000) },
  { name: 'no key frames', run: (camera) => fault(camera, { noKeyFrames: true }, 13_000) },
  {
    name: '100 times the bit rate',
    async run(camera, lab) {
      camera.setFaults({ bitrateFactor: 100 });
      await lab.untilCutOff(camera);
      await pause(3_000);
      camera.setFaults(NO_FAULTS);
    },
  },
  { name: 'led elsewhere', run: (camera) => rebooted(camera, { redirectTo: '127.0.0.1' }, 8_000) },
];

async function fault(
  camera: VirtualCamera,
  faults: Parameters<VirtualCamera['setFaults']>[0],
  ms: number,
): Promise<void> {
  camera.setFaults(faults);
  await pause(ms);
  camera.setFaults(NO_FAULTS);
}

/** For faults that only a new connection meets. */
async function rebooted(
  camera: VirtualCamera,
  faults: Parameters<VirtualCamera['setFaults']>[0],
  ms: number,
): Promise<void> {
  camera.setFaults(faults);
  await camera.reboot(200);
  await pause(ms);
  camera.setFaults(NO_FAULTS);
}

/** A whole agent that records virtual cameras, one for each outage and some for none. */
export class Lab implements AsyncDisposable {
  readonly #site: Site;
  readonly #dir: string;
  #sim!: VirtualCameras;
  #free = 0;
  readonly #ids = new Map<VirtualCamera, string>();

  /** @param net the first two bytes behind `127.` of the addresses of this lab, such as `61.7` */
  constructor(private readonly net: string) {
    this.#dir = mkdtempSync(join(tmpdir(), 'bluelight-outages-'));
    this.#site = new Site({ dir: this.#dir, cameras: 0, settings: { motion: { enabled: false } } });
  }

  /** An address that no camera has. */
  freeAddress(): string {
    return `127.${this.net}.${String(200 + this.#free++)}`;
  }

  cameras(): VirtualCamera[] {
    return this.#sim.cameras;
  }

  idOf(camera: VirtualCamera): string {
    return this.#ids.get(camera) ?? '';
  }

  async start(count: number): Promise<void> {
    const clock = systemClock();
    this.#sim = await startVirtualCameras({
      ...{ clock, processes: systemProcesses(clock), log: silentLog },
      cacheDir: join(tmpdir(), 'bluelight-test-footage'),
      cameras: Array.from({ length: count }, (_, i) => ({
        id: `out-${String(i + 1)}`,
        address: `127.${this.net}.${String(11 + i)}`,
        // The same ports and the same serial: only the EndpointReference tells them apart.
        ...{ onvifPort: 8_000, rtspPort: 8_554, serial: '1', mac: '02:00:00:00:00:07' },
        ...{ username: 'admin', password: this.#site.password, lockOut: { after: 4, forMs: 1_800_000 } },
        // A camera that floods must not drop its client first.
        maxQueuedBytes: 64 * 1024 * 1024,
        source: { kind: 'scene', scene: { seed: 7, loopSeconds: 6, activity: 0.6 } },
        main: { width: 640, height: 360, fps: 15, gopSeconds: 1, kbps: 1_500 },
        sub: { width: 320, height: 180, fps: 10, gopSeconds: 1, kbps: 300 },
      })),
    });
    this.#site.writeConfig();
    await this.#site.startAgent();
    for (const camera of this.cameras()) {
      const [adopted] = await this.#site.adopt(camera.xaddr, camera.id);
      this.#ids.set(camera, adopted!.id);
    }
    if ((await this.#site.recording(2 * count, 60_000)) === undefined) {
      throw new Error(`not every stream records: ${JSON.stringify((await this.#site.status()).streams)}`);
    }
  }

  async untilLink(camera: VirtualCamera, link: DeviceStatus['link']): Promise<void> {
    await until(async () => {
      const devices = await this.#site.cli<DeviceStatus[]>(['camera', 'devices']);
      const mine = devices.find((one) => one.cameras.includes(this.idOf(camera)));
      return mine?.link === link ? true : undefined;
    }, 30_000, 500); // prettier-ignore
  }

  /** Until both streams of a camera have been called invalid. */
  async untilCutOff(camera: VirtualCamera): Promise<void> {
    const seen = new Set<string>();
    const done = await until(async () => {
      for (const one of (await this.#site.status()).streams) {
        if (one.camera === this.idOf(camera) && one.state === 'invalid') seen.add(one.role);
      }
      return seen.size === 2 ? true : undefined;
    }, 30_000, 100); // prettier-ignore
    if (done === undefined) throw new Error(`${camera.id} was not cut off, but for: ${[...seen].join(' ')}`);
  }

  async password(camera: VirtualCamera, password: string): Promise<void> {
    await this.#site.cli(['camera', 'password', this.idOf(camera)], password);
  }

  /** Until everything records again, or it has had its time. */
  async settled(): Promise<void> {
    await this.#site.recording(2 * this.cameras().length, SETTLE_MS);
    await pause(AFTER_MS);
  }

  /** Ends the agent; what it says is in its log. */
  async end(): Promise<string> {
    await this.#site.agent.stop();
    return this.#site.agent.log();
  }

  /** Stamps of all pictures of a stream that are on the disk, in order. */
  stamps(camera: VirtualCamera, role: 'main' | 'sub'): FrameStamp[] {
    const root = join(this.#dir, 'ring', 'media', `${this.idOf(camera)}.${role}`);
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.mp4'));
    const seq = (name: string): number => Number(/(\d+)\.mp4$/.exec(name)?.[1]);
    return files.sort((a, b) => seq(a) - seq(b)).flatMap((name) => stampsOf(readFileSync(join(root, name))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#site.close();
    await this.#sim.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function stampsOf(data: Uint8Array): FrameStamp[] {
  return parseFile(data).fragments.flatMap(({ offset, bytes }) =>
    accessUnitsOf(data.subarray(offset, offset + bytes)).flatMap((unit) => readFrameStamp('h264', unit.data) ?? []),
  );
}

/** All outages at once, each on a camera of its own; a pair swaps addresses, and two more see nothing of it all. */
export async function outageMatrix(net: string, outages: readonly Outage[]): Promise<MatrixResult> {
  await using lab = new Lab(net);
  await lab.start(outages.length + 4);
  const cameras = lab.cameras();
  const [left, right, ...bystanders] = cameras.slice(outages.length) as [VirtualCamera, VirtualCamera];
  const cured = new Map<VirtualCamera, number>();
  const one = async (camera: VirtualCamera, work: Promise<void>): Promise<void> => {
    await work;
    cured.set(camera, Date.now());
  };
  const swapping = swap(left, right, lab);
  await Promise.all([
    ...outages.map((outage, i) => one(cameras[i]!, outage.run(cameras[i]!, lab))),
    one(left, swapping),
    one(right, swapping),
  ]);
  await lab.settled();
  const log = await lab.end();
  const names = [...outages.map((outage) => outage.name), 'swapped addresses', 'swapped addresses'];
  const results = names.map((name, i) => resultOf(lab, cameras[i]!, name, cured.get(cameras[i]!) ?? 0));
  const bystandersLost = (bystanders as VirtualCamera[]).reduce((sum, camera) => sum + missing(lab, camera), 0);
  return { outages: results, bystandersLost, problems: problemsOf(results, bystandersLost, log) };
}

async function swap(left: VirtualCamera, right: VirtualCamera, lab: Lab): Promise<void> {
  const [a, b] = [left.address, right.address];
  await left.move(lab.freeAddress());
  await right.move(a);
  await left.move(b);
}

function resultOf(lab: Lab, camera: VirtualCamera, name: string, curedMs: number): OutageResult {
  const roles = ['main', 'sub'] as const;
  const stamps = roles.map((role) => lab.stamps(camera, role));
  const backs = stamps.map((list) => list.map((s) => Number(s.captureUs) / 1000).find((ms) => ms > curedMs));
  const mixUps = stamps.flatMap((list, i) => list.filter((s) => s.camera !== `${camera.id}.${roles[i]!}`)).length;
  const backMs = backs.some((ms) => ms === undefined) ? undefined : Math.max(...backs.map((ms) => ms! - curedMs));
  return { name, backMs, mixUps, refusedLogins: camera.logins().refused };
}

/** Pictures that are missing between the first and the last on the disk. */
function missing(lab: Lab, camera: VirtualCamera): number {
  return (['main', 'sub'] as const)
    .map((role) => lab.stamps(camera, role).map((stamp) => stamp.frame))
    .reduce((sum, frames) => sum + (frames.at(-1)! - frames[0]! + 1 - frames.length), 0);
}

function problemsOf(results: readonly OutageResult[], bystandersLost: number, log: string): string[] {
  const problems: string[] = [];
  for (const { name, backMs, mixUps, refusedLogins } of results) {
    if (backMs === undefined) problems.push(`${name}: not recorded again`);
    else if (backMs > BACK_MS) problems.push(`${name}: back after ${Math.round(backMs / 1000)} s`);
    if (mixUps > 0) problems.push(`${name}: ${mixUps} pictures of another camera`);
    if (refusedLogins > 2) problems.push(`${name}: ${refusedLogins} refused logins`);
  }
  if (bystandersLost > 0) problems.push(`${bystandersLost} pictures lost by cameras without a fault`);
  if (problems.length > 0) problems.push(log.slice(-3_000));
  return problems;
}
