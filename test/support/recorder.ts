import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatBytes } from '../../src/media/nal.js';
import type { AccessUnit, Fragment, GapReason, RunStart, StreamSink } from '../../src/media/stream.js';

export interface RecordedRun {
  start: RunStart;
  fragments: Fragment[];
  end?: { reason: GapReason; detail: string };
}

/** A sink that keeps everything, so that a test can look at it and write it to a file. */
export class Recorder implements StreamSink {
  readonly runs: RecordedRun[] = [];
  readonly units: { stream: string; unit: AccessUnit }[] = [];
  readonly gaps: { stream: string; reason: GapReason; detail: string }[] = [];

  run(start: RunStart): void {
    this.runs.push({ start, fragments: [] });
  }

  accessUnit(stream: string, unit: AccessUnit): void {
    this.units.push({ stream, unit: { ...unit, data: unit.data.slice() } });
  }

  fragment(stream: string, run: string, fragment: Fragment): void {
    this.#find(stream, run).fragments.push(fragment);
  }

  runEnd(stream: string, run: string | undefined, reason: GapReason, detail: string): void {
    this.gaps.push({ stream, reason, detail });
    if (run !== undefined) this.#find(stream, run).end = { reason, detail };
  }

  runsOf(stream: string): RecordedRun[] {
    return this.runs.filter((one) => one.start.stream === stream);
  }

  unitsOf(stream: string): AccessUnit[] {
    return this.units.filter((one) => one.stream === stream).map((one) => one.unit);
  }

  /** Seconds recorded of a stream. */
  seconds(stream: string): number {
    const fragments = this.runsOf(stream).flatMap((one) => one.fragments);
    return fragments.reduce((sum, one) => sum + one.duration, 0) / 90_000;
  }

  #find(stream: string, run: string): RecordedRun {
    const found = this.runs.find((one) => one.start.stream === stream && one.start.run === run);
    if (found === undefined) throw new Error(`a fragment of ${stream} came outside of a run`);
    if (found.end !== undefined) throw new Error(`a fragment of ${stream} came after the end of its run`);
    return found;
  }
}

/** One file as the ring and a clip make it: the init and the fragments verbatim. */
export function saveRun(run: RecordedRun): string {
  const path = join(mkdtempSync(join(tmpdir(), 'bl-run-')), 'run.mp4');
  writeFileSync(path, concatBytes([run.start.init, ...run.fragments.map((one) => one.bytes)]));
  return path;
}

/** Waits for a condition of things that have no event of their own; fails with `what` after `seconds`. */
export async function until(what: string, seconds: number, condition: () => boolean): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`did not happen within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
