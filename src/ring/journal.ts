import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { BluelightError } from '../base/errors.js';
import { canonical, parseCanonical } from '../proof/canonical.js';
import { ensureDir, readIfThere, unlinkIfThere, type DiskIo } from './disk-io.js';
import { journalDir, journalPath } from './layout.js';
import { journalEntry, type JournalEntry } from './journal-entry.js';

/** Where a line begins. */
export interface JournalPosition {
  number: number;
  offset: number;
}

export interface JournalLine {
  at: JournalPosition;
  next: JournalPosition;
  entry: JournalEntry;
}

/**
 * Append-only record of everything that the index cannot recompute from the media. One line per entry: its canonical
 * JSON, a tab, the first 16 hexadecimal digits of the JSON's SHA-256. A line that does not fit its sum is skipped, at
 * the end of the newest file it is a torn write. `append` returns when the lines are on the disk.
 */
export class Journal {
  readonly #io: DiskIo;
  readonly #directory: string;
  readonly #maxBytes: number;
  #number = 0;
  #fd: number | undefined;
  #bytes = 0;
  /** A failed write may have left a part of a line behind `#bytes`. */
  #torn = false;
  /** Of the files before the newest. */
  #olderBytes = 0;

  constructor(io: DiskIo, directory: string, maxBytes: number) {
    this.#io = io;
    this.#directory = directory;
    this.#maxBytes = maxBytes;
  }

  /** Where the next line will begin. */
  get position(): JournalPosition {
    return { number: this.#number, offset: this.#bytes };
  }

  /** The file is full: the next line goes into a new one, which `start` begins. */
  get full(): boolean {
    return this.#bytes >= this.#maxBytes;
  }

  /** Opens the newest file and cuts off a torn last line; begins file 1 when there is none. */
  open(): void {
    ensureDir(this.#io, this.#directory, journalDir(this.#directory));
    const numbers = this.numbers();
    const newest = numbers.at(-1);
    this.#olderBytes = numbers.slice(0, -1).reduce((sum, n) => sum + this.#sizeOf(n), 0);
    if (newest === undefined) {
      this.#begin(1);
      return;
    }
    const fd = this.#io.openWrite(journalPath(this.#directory, newest));
    try {
      const bytes = this.#io.read(fd, 0, this.#io.size(fd));
      const whole = bytes.lastIndexOf(10) + 1;
      if (whole < bytes.length) {
        this.#io.truncate(fd, whole);
        this.#io.sync(fd);
      }
      this.#bytes = whole;
    } finally {
      this.#io.close(fd);
    }
    this.#number = newest;
    this.#torn = false;
    this.#fd = this.#io.openAppend(journalPath(this.#directory, newest));
  }

  close(): void {
    if (this.#fd === undefined) return;
    const fd = this.#fd;
    this.#fd = undefined;
    this.#io.close(fd);
  }

  /** Durable when it returns. What a failed write left behind is cut off before the next one. */
  append(entries: readonly JournalEntry[]): { first: JournalPosition; next: JournalPosition } {
    const fd = this.#fd;
    if (fd === undefined) throw new BluelightError('DISK_FAILED', 'the journal of the ring is not open');
    if (this.#torn) this.#cutBack(fd);
    const first = this.position;
    const bytes = Buffer.from(entries.map(encodeLine).join(''), 'utf8');
    try {
      this.#io.write(fd, bytes);
      this.#io.datasync(fd);
    } catch (error) {
      this.#torn = true;
      throw error;
    }
    this.#bytes += bytes.length;
    return { first, next: this.position };
  }

  /** Begins the next file. Its first entries must carry over what a rebuild needs from older files. */
  start(entries: readonly JournalEntry[]): void {
    this.close();
    this.#olderBytes += this.#bytes;
    this.#begin(this.#number + 1);
    if (entries.length > 0) this.append(entries);
  }

  /** Of all its files. */
  get totalBytes(): number {
    return this.#olderBytes + this.#bytes;
  }

  /** Ascending. */
  numbers(): number[] {
    return readdirSync(journalDir(this.#directory))
      .flatMap((name) => /^(\d{8})\.log$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  remove(number: number): void {
    this.#olderBytes -= this.#sizeOf(number);
    unlinkIfThere(this.#io, journalPath(this.#directory, number));
  }

  /** Bytes of one file; 0 when it does not exist. */
  read(number: number): Uint8Array {
    return readIfThere(this.#io, journalPath(this.#directory, number)) ?? new Uint8Array();
  }

  /** Whole, undamaged lines of one file from an offset on. */
  *lines(number: number, offset = 0): Generator<JournalLine> {
    const bytes = Buffer.from(this.read(number));
    let from = offset;
    for (;;) {
      const end = bytes.indexOf(10, from);
      if (end === -1) return;
      const entry = decodeLine(bytes.toString('utf8', from, end));
      const next = { number, offset: end + 1 };
      if (entry !== undefined) yield { at: { number, offset: from }, next, entry };
      from = end + 1;
    }
  }

  #sizeOf(number: number): number {
    return statSync(journalPath(this.#directory, number), { throwIfNoEntry: false })?.size ?? 0;
  }

  #begin(number: number): void {
    this.#fd = this.#io.create(journalPath(this.#directory, number));
    this.#number = number;
    this.#bytes = 0;
    this.#torn = false;
    this.#io.syncDir(journalDir(this.#directory));
    this.append([{ k: 'start', number }]);
  }

  #cutBack(fd: number): void {
    this.#io.truncate(fd, this.#bytes);
    this.#torn = false;
  }
}

function sum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function encodeLine(entry: JournalEntry): string {
  const text = canonical(entry);
  return `${text}\t${sum(text)}\n`;
}

function decodeLine(line: string): JournalEntry | undefined {
  const tab = line.lastIndexOf('\t');
  const text = line.slice(0, tab);
  if (tab === -1 || sum(text) !== line.slice(tab + 1)) return undefined;
  const parsed = journalEntry.safeParse(parseCanonical(text));
  return parsed.success ? parsed.data : undefined;
}
