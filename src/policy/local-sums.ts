import type { Clock } from '../base/clock.js';
import type { AuditNote } from '../store/audit.js';

type Note = Omit<AuditNote, 'id' | 'atMs'>;

interface Sum {
  note: Note;
  bytes: number;
  times: number;
  sinceMono: number;
}

/** As long as one row stands for what a page asks again, see repeats. */
const EVERY_MS = 5 * 60_000;
const MOST = 2_000;

/**
 * What the people at the box saw live or played back, in bytes: one row for each grant in the audit log instead of one
 * for every time a tile on the page opens its connection anew. Counts that a power cut takes away are of at most five
 * minutes; that they looked stands in the log before the first byte.
 */
export class LocalSums {
  readonly #clock: Clock;
  readonly #write: (note: Note) => Promise<void>;
  readonly #sums = new Map<string, Sum>();

  constructor(clock: Clock, write: (note: Note) => Promise<void>) {
    this.#clock = clock;
    this.#write = write;
  }

  async add(id: string, note: Note): Promise<void> {
    const sum = this.#sums.get(id) ?? { note, bytes: 0, times: 0, sinceMono: this.#clock.monotonic() };
    sum.note = note;
    sum.bytes += note.bytes ?? 0;
    sum.times++;
    this.#sums.set(id, sum);
    if (this.#sums.size > MOST) await this.flush(true);
  }

  /** @param all also those of the last five minutes */
  async flush(all: boolean): Promise<void> {
    const mono = this.#clock.monotonic();
    for (const [id, sum] of [...this.#sums]) {
      if (!all && mono - sum.sinceMono < EVERY_MS) continue;
      this.#sums.delete(id);
      await this.#write({ ...sum.note, bytes: sum.bytes, detail: { times: sum.times } });
    }
  }
}
