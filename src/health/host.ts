import { access } from 'node:fs/promises';
import { withDeadline, type Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { systemHost, type HostSource } from './host-source.js';

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
/** Answers come from programs, /proc and /sys; on a sick machine they do not come back. */
const DEADLINE_MS = 5_000;
/** Older readings are not told as the present. */
const STALE_MS = 60_000;

const UNKNOWN: HostReading = { cpu: null, mem: null, temp: null };

/** Readings of the host, taken every 10 s, so that whoever asks never waits for them. No outside text goes in. */
export class Host {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #source: HostSource;
  #reading: HostReading = UNKNOWN;
  #readMono = -Infinity;
  /** A question that still hangs is not put again on top. */
  #hanging = false;
  #facts: HostFacts = { hardware: 'unknown', os: 'unknown' };
  #synchronised = false;
  #stop = (): void => undefined;

  constructor(clock: Clock, log: Log, source: HostSource = systemHost()) {
    this.#clock = clock;
    this.#log = log;
    this.#source = source;
  }

  /** The first reading is there when this resolves. */
  async start(): Promise<void> {
    try {
      const facts = Promise.all([this.#source.system(), this.#source.osInfo()]);
      const [system, os] = await withDeadline(this.#clock, DEADLINE_MS, facts, late);
      this.#facts = {
        hardware: `${system.manufacturer} ${system.model}`.trim() || 'unknown',
        os: `${os.distro} ${os.release} ${os.arch}`.trim(),
      };
    } catch (error) {
      this.#log.warn({ error: errorMessage(error) }, 'the host does not say what it is');
    }
    await this.#read();
    this.#stop = this.#clock.every(READ_EVERY_MS, () => this.#read());
  }

  stop(): void {
    this.#stop();
  }

  get reading(): HostReading {
    return this.#clock.monotonic() - this.#readMono > STALE_MS ? UNKNOWN : this.#reading;
  }

  get facts(): HostFacts {
    return this.#facts;
  }

  /** Whether a time service says that it set the clock. */
  get synchronised(): boolean {
    return this.#synchronised;
  }

  async #read(): Promise<void> {
    if (this.#hanging) return;
    this.#hanging = true;
    const answers = Promise.all([this.#source.currentLoad(), this.#source.mem(), this.#source.cpuTemperature()]);
    const over = (): void => void (this.#hanging = false);
    answers.then(over, over);
    try {
      const [load, memory, temperature] = await withDeadline(this.#clock, DEADLINE_MS, answers, late);
      this.#readMono = this.#clock.monotonic();
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

function late(): Error {
  return new BluelightError('HOST_SLOW', `the host did not answer within ${DEADLINE_MS / 1000} s`);
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
