import type { Clock } from '../base/clock.js';
import type { AuditNote } from '../store/audit.js';

/** So many refused commands of one kind have their own row per minute; the rest of that minute are counted in one. */
const ROWS_PER_MINUTE = 30;
const MINUTE_MS = 60_000;

interface Minute {
  startedMono: number;
  rows: number;
  more: number;
  last: Omit<AuditNote, 'id' | 'atMs'>;
}

/**
 * Writes refusals into the audit log, every one of them, but does not let a flood of forged messages fill the disk
 * of the box: beyond the first of a minute they are counted.
 */
export class RefusalLog {
  readonly #clock: Clock;
  readonly #write: (note: Omit<AuditNote, 'id' | 'atMs'>) => Promise<void>;
  readonly #minutes = new Map<string, Minute>();
  readonly #stop: () => void;
  readonly #rows: number;

  /** @param rows a minute of their own for each code; what comes beyond is counted in one */
  constructor(clock: Clock, write: (note: Omit<AuditNote, 'id' | 'atMs'>) => Promise<void>, rows = ROWS_PER_MINUTE) {
    this.#rows = rows;
    this.#clock = clock;
    this.#write = write;
    this.#stop = clock.every(MINUTE_MS, () => this.flush(false));
  }

  async add(note: Omit<AuditNote, 'id' | 'atMs'>): Promise<void> {
    const code = note.code ?? '';
    const mono = this.#clock.monotonic();
    let minute = this.#minutes.get(code);
    if (minute === undefined || mono - minute.startedMono >= MINUTE_MS) {
      if (minute !== undefined) await this.#sum(code, minute);
      minute = { startedMono: mono, rows: 0, more: 0, last: note };
      this.#minutes.set(code, minute);
    }
    minute.last = note;
    if (minute.rows >= this.#rows) {
      minute.more++;
      return;
    }
    minute.rows++;
    await this.#write(note);
  }

  /** Writes what was only counted. @param all also of minutes that still run */
  async flush(all: boolean): Promise<void> {
    const mono = this.#clock.monotonic();
    for (const [code, minute] of [...this.#minutes]) {
      if (all || mono - minute.startedMono >= MINUTE_MS) await this.#sum(code, minute);
    }
  }

  async close(): Promise<void> {
    this.#stop();
    await this.flush(true);
  }

  async #sum(code: string, minute: Minute): Promise<void> {
    this.#minutes.delete(code);
    if (minute.more === 0) return;
    const reason = `${minute.more} more were refused for the same reason; the last: ${minute.last.reason}`;
    await this.#write({ ...minute.last, reason, detail: { count: minute.more } });
  }
}
