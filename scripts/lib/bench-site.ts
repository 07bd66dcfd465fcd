import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectAgent, type Agent } from '../../src/cli/agent.js';
import type { StatusBody } from '../../src/contract/http.js';
import { until } from './program.js';
import { Site, type CamerasReady, type SiteOptions } from './site.js';

export interface BenchSiteOptions {
  name: string;
  cameras: number;
  cameraArgs: string[];
  settings?: SiteOptions['settings'];
  nodeArgs?: string[];
}

const CACHE = fileURLToPath(new URL('../../.demo/cache', import.meta.url));

/**
 * Virtual cameras and one agent to be measured. Agent and cameras are processes of their own, and the agent runs a copy
 * of Node that nobody else runs: else a part of its memory would be counted as that of others.
 */
export class BenchSite {
  readonly dir: string;
  readonly #site: Site;
  readonly #count: number;
  #cameras: CamerasReady['cameras'] = [];
  #api: Agent | undefined;
  readonly #adopted = new Set<number>();

  constructor(options: BenchSiteOptions) {
    this.dir = fileURLToPath(new URL(`../../.demo/bench-${options.name}-${process.pid}`, import.meta.url));
    this.#count = options.cameras;
    mkdirSync(this.dir, { recursive: true });
    const node = join(this.dir, 'node');
    copyFileSync(process.execPath, node);
    this.#site = new Site({
      dir: this.dir,
      cameras: options.cameras,
      cacheDir: CACHE,
      // Addresses of its own, so that a demo or another benchmark may run beside it.
      address: `127.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}.11`,
      cameraArgs: ['--one-scene', ...options.cameraArgs],
      settings: options.settings,
      node,
      nodeArgs: options.nodeArgs,
    });
  }

  async startCameras(): Promise<void> {
    this.#cameras = (await this.#site.startCameras()).cameras;
  }

  async startAgent(): Promise<void> {
    this.#site.writeConfig();
    const { socket } = await this.#site.startAgent();
    this.#api = connectAgent(socket);
  }

  get agentPid(): number {
    return this.#site.agent.pid;
  }

  get api(): Agent {
    if (this.#api === undefined) throw new Error('the agent was not started');
    return this.#api;
  }

  /** Address of a stream with user and password in it, for programs that take it like that only. */
  rtsp(camera: number, role: 'main' | 'sub'): string {
    const { address, rtspPort } = this.#cameras[camera]!;
    return `rtsp://admin:${this.#site.password}@${address}:${rtspPort}/${role}`;
  }

  /**
   * Which cameras stand for `count` of them: evenly spread, because each shows the scene at another time and the busy
   * ones must be as many in part as in whole.
   */
  some(count: number): number[] {
    return Array.from({ length: count }, (_, i) => Math.floor((i * this.#count) / count));
  }

  /** Adopts those that are not adopted yet; resolves when main and sub of all that were adopted so far are on the disk. */
  async adopt(cameras: readonly number[]): Promise<void> {
    const left = cameras.filter((camera) => !this.#adopted.has(camera));
    const one = async (): Promise<void> => {
      for (let i = left.shift(); i !== undefined; i = left.shift()) {
        const camera = this.#cameras[i]!;
        const who = { username: 'admin', password: this.#site.password, name: camera.id };
        await this.api.post('/devices', { address: camera.xaddr, ...who });
        this.#adopted.add(i);
      }
    };
    await Promise.all([one(), one()]);
    const ready = await until(async () => ((await this.recording()) >= this.#streams ? true : undefined), 90_000);
    if (ready === undefined) throw new Error(`${await this.recording()} of ${this.#streams} streams are recorded`);
  }

  get #streams(): number {
    return 2 * this.#adopted.size;
  }

  /** Streams with bytes on the disk that are at most 3 s old. */
  async recording(): Promise<number> {
    const { streams } = await this.api.get<StatusBody>('/status');
    return streams.filter((s) => s.state === 'recording' && s.ageMs !== null && s.ageMs < 3_000).length;
  }

  /** Throws if a stream is not recorded any more: an agent that does not record is cheap. */
  async mustRecord(): Promise<void> {
    const alive = await until(async () => ((await this.recording()) >= this.#streams ? true : undefined), 5_000);
    if (alive === undefined) throw new Error(`only ${await this.recording()} streams are still recorded`);
  }

  stopAgent(): Promise<void> {
    return this.#site.agent.stop();
  }

  agentLog(): string {
    return this.#site.agent.log();
  }

  async close(): Promise<void> {
    await this.#site.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
