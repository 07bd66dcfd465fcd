import { access } from 'node:fs/promises';
import si from 'systeminformation';
import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';

/** Percentages 0..100, degrees Celsius; null where this host does not tell. */
export interface HostReading {
  cpu: number | null;
  mem: number | null;
  temp: number | null;
}

export interface HostFacts {
  hardware: string;
  os: string;
}

/** Touched by systemd-timesyncd and by chrony's wait service once the clock is synchronised. */
const SYNCHRONISED = ['/run/systemd/timesync/synchronized', '/run/chrony/synchronized'];
const READ_EVERY_MS = 10_000;

/** Readings of the host, taken every 10 s, so that whoever asks never waits for them. No outside text goes in. */
export class Host {
  readonly #clock: Clock;
  readonly #log: Log;
  #reading: HostReading = { cpu: null, mem: null, temp: null };
  #facts: HostFacts = { hardware: 'unknown', os: 'unknown' };
  #synchronised = false;
  #stop = (): void => undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** The first reading is there when this resolves. */
  async start(): Promise<void> {
    const [system, os] = await Promise.all([si.system(), si.osInfo()]);
    this.#facts = {
      hardware: `${system.manufacturer} ${system.model}`.trim() || 'unknown',
      os: `${os.distro} ${os.release} ${os.arch}`.trim(),
    };
    await this.#read();
    this.#stop = this.#clock.every(READ_EVERY_MS, () => this.#read());
  }

  stop(): void {
    this.#stop();
  }

  get reading(): HostReading {
    return this.#reading;
  }

  get facts(): HostFacts {
    return this.#facts;
  }

  /** Whether a time service says that it set the clock. */
  get synchronised(): boolean {
    return this.#synchronised;
  }

  async #read(): Promise<void> {
    try {
      const [load, memory, temperature] = await Promise.all([si.currentLoad(), si.mem(), si.cpuTemperature()]);
      this.#reading = {
        cpu: round(load.currentLoad),
        mem: round((100 * (memory.total - memory.available)) / memory.total),
        temp: typeof temperature.main === 'number' && temperature.main > 0 ? round(temperature.main) : null,
      };
    } catch (error) {
      this.#log.warn({ error: errorMessage(error) }, 'the host cannot be read');
    }
    this.#synchronised = (await Promise.all(SYNCHRONISED.map(exists))).includes(true);
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
