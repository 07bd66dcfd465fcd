import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Camera } from '../../src/contract/camera.js';
import type { StatusBody } from '../../src/contract/http.js';
import { call, must, start, until, type Program } from './program.js';

export interface CenterReady {
  console: string;
  broker: string;
  upload: string;
  claimFile: string;
}

export interface CamerasReady {
  cameras: { id: string; address: string; xaddr: string; endpointReference: string; rtspPort: number }[];
  /** With `--control-port`. */
  controlPort?: number;
}

export interface AgentReady {
  page: string;
  socket: string;
  /** Only at the very first start. */
  loginCode?: string;
}

export interface SiteOptions {
  dir: string;
  /** Default: in `dir`. */
  stateDir?: string;
  cameras: number;
  /** Of the first virtual camera; the others follow. */
  address?: string;
  cameraArgs?: string[];
  centerArgs?: string[];
  cacheDir?: string;
  /** Further lines of TOML, by table. */
  settings?: Record<string, Record<string, unknown>>;
  webPort?: number;
  /** Runs the agent, instead of the Node that runs this. */
  node?: string;
  nodeArgs?: string[];
  agentEnv?: NodeJS.ProcessEnv;
}

/** A whole site on this machine: virtual center, virtual cameras and one agent, each a process of its own. */
export class Site {
  readonly dir: string;
  readonly password = randomBytes(12).toString('base64url');
  readonly #options: SiteOptions;
  center!: Program<CenterReady>;
  cameras!: Program<CamerasReady>;
  agent!: Program<AgentReady>;

  constructor(options: SiteOptions) {
    this.dir = options.dir;
    this.#options = options;
    mkdirSync(this.dir, { recursive: true });
  }

  get configPath(): string {
    return join(this.dir, 'bluelight.toml');
  }

  get policyPath(): string {
    return join(this.dir, 'policy.json');
  }

  async startCenter(): Promise<CenterReady> {
    const claim = join(this.dir, 'claim.json');
    const args = ['sim', 'center', '--dir', join(this.dir, 'center'), '--claim', `jx-int-0042/box-1=${claim}`];
    this.center = start<CenterReady>([...args, ...(this.#options.centerArgs ?? [])]);
    return this.center.ready;
  }

  async startCameras(): Promise<CamerasReady> {
    const { cameras, address = '127.0.0.11', cacheDir = join(this.dir, 'cache'), cameraArgs = [] } = this.#options;
    const args = [
      'sim',
      'camera',
      '--count',
      String(cameras),
      '--address',
      address,
      '--cache',
      cacheDir,
      '--password-stdin',
    ];
    this.cameras = start<CamerasReady>([...args, ...cameraArgs], { input: this.password });
    return this.cameras.ready;
  }

  get socketPath(): string {
    return join(this.dir, 'agent.sock');
  }

  writeConfig(): void {
    const tables: Record<string, Record<string, unknown>> = {
      recording: {
        dir: join(this.dir, 'ring'),
        create: true,
        quota: '4GB',
        reserve: '500MB',
        floor: '1m',
        promise: '20m',
      },
      cameras: { allow_loopback: true, interfaces: ['lo'] },
      policy: { file: this.policyPath },
      web: { host: '127.0.0.1', port: this.#options.webPort ?? 0 },
      center: { heartbeat: '5s' },
    };
    for (const [table, values] of Object.entries(this.#options.settings ?? {})) {
      tables[table] = { ...tables[table], ...values };
    }
    const state = this.#options.stateDir ?? join(this.dir, 'state');
    const lines = [`state_dir = ${JSON.stringify(state)}`, `socket = ${JSON.stringify(this.socketPath)}`];
    for (const [table, values] of Object.entries(tables)) {
      lines.push(
        '',
        `[${table}]`,
        ...Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
      );
    }
    writeFileSync(this.configPath, lines.join('\n') + '\n');
  }

  async startAgent(): Promise<AgentReady> {
    const { node, nodeArgs, agentEnv: env } = this.#options;
    this.agent = start<AgentReady>(['run', '--config', this.configPath], { node, nodeArgs, env });
    return this.agent.ready;
  }

  /** `bluelight` with this site's configuration; anything but exit code 0 is an error. */
  cli<T>(args: string[], input?: string): Promise<T> {
    return must<T>(['--config', this.configPath, ...args], { input });
  }

  /** As `cli`, with the exit code instead of an error. */
  tryCli<T>(args: string[], input?: string): Promise<{ code: number; value: T; stderr: string }> {
    return call<T>(['--config', this.configPath, ...args], { input });
  }

  claim(): Promise<unknown> {
    return this.cli(['claim', '--file', join(this.dir, 'claim.json')]);
  }

  async adopt(address: string, name: string): Promise<Camera[]> {
    return (
      await this.cli<{ cameras: Camera[] }>(
        ['camera', 'add', address, '--username', 'admin', '--name', name],
        this.password,
      )
    ).cameras;
  }

  /** The explicit grant: clips of motion may go to the center unasked, and the box's own people may look. */
  grant(cameras: string[]): void {
    const terms = cameras.map((camera) => ({ camera, mode: 'clips', autoClips: true, stills: true }));
    const document = { version: 1, authority: 'city', timeZone: 'America/Chicago', cameras: terms };
    writeFileSync(this.policyPath, JSON.stringify(document, null, 2));
  }

  async status(): Promise<StatusBody> {
    return (await this.tryCli<StatusBody>(['status'])).value;
  }

  /** All streams of all cameras have bytes on the disk that are at most 3 s old. */
  recording(streams: number, withinMs: number): Promise<StatusBody | undefined> {
    return until(async () => {
      const { value } = await this.tryCli<StatusBody>(['status']);
      const alive = value.streams.filter((s) => s.state === 'recording' && s.ageMs !== null && s.ageMs < 3_000);
      return alive.length >= streams ? value : undefined;
    }, withinMs);
  }

  async close(): Promise<void> {
    for (const program of [this.agent, this.cameras, this.center])
      await (program as Program<unknown> | undefined)?.stop();
  }
}
