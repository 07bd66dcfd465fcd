import type { Clock } from '../base/clock.js';
import { planFiles } from './clip-plan.js';
import { coverage, openPart } from './coverage.js';
import type { Opened } from './opened.js';
import type { StreamRecorder } from './recorder.js';
import type { ClipPlan, CoverageAnswer } from './types.js';

/** What is asked of the index and of what is being written at this moment. */
interface Asked {
  opened: Opened;
  recorder: StreamRecorder | undefined;
  clock: Clock;
  stream: string;
  fromMs: number;
  toMs: number;
}

/** Exact: spans, gaps with their reasons, bytes; both clipped to [fromMs, toMs). */
export function answerCoverage({ opened, recorder, clock, stream, fromMs, toMs }: Asked): CoverageAnswer {
  const { tables } = opened.core;
  const writer = recorder?.writer;
  const run = writer === undefined ? undefined : tables.runId(writer.run);
  const open = run === undefined ? undefined : openPart(run, writer);
  // What is written but not synced yet is neither there nor missing.
  const nowMs = writer === undefined ? clock.now() : writer.committed.endMs;
  return coverage(tables, tables.stream(stream), { fromMs, toMs }, { nowMs, open });
}

/** The whole segments that cover a range, as playable files, with what the manifest needs. */
export function answerPlan(ask: Asked): ClipPlan {
  const { opened, recorder, stream, fromMs, toMs } = ask;
  const { core, maintenance } = opened;
  const row = core.tables.stream(stream);
  const files = row === undefined ? [] : planFiles(core.tables, row, fromMs, toMs);
  const range = {
    fromMs: Math.min(fromMs, ...files.map((f) => f.startMs)),
    toMs: Math.max(toMs, ...files.map((f) => f.endMs)),
  };
  const writer = recorder?.writer;
  const open = writer !== undefined && writer.startMs < toMs && writer.endMs > fromMs;
  const { gaps } = answerCoverage({ ...ask, ...range });
  return { stream, disk: core.diskId, ...range, files, gaps, open, rebuilding: maintenance.rebuildShare !== null };
}
