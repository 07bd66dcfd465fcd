export interface MotionSpan {
  id: string;
  startMs: number;
  /** Null: it goes on. */
  endMs: number | null;
}

/** Numbers of pieces that a change of format makes lie above those of a long motion event. */
export const SPLIT_PIECES = 1_000;

export interface MotionSettings {
  preRollMs: number;
  postRollMs: number;
  maxLengthMs: number;
}

/** What was already cut out of one camera's time. */
export interface MotionProgress {
  /** End of the last clip; the next one does not begin before it. */
  doneToMs: number;
  /** Pieces made so far by the motion event that names them. */
  pieces: Readonly<Record<string, number>>;
}

export interface PlannedClip {
  event: string;
  piece: number;
  fromMs: number;
  toMs: number;
}

/**
 * Which clips the motion events of one camera make. Events whose rolls touch become one clip, named after the first;
 * a clip is complete when its post-roll has passed and nothing in it goes on, or when it has the longest length.
 * @param spans oldest first
 * @returns complete clips, and when to look again (wall clock)
 */
export function planMotionClips(
  progress: MotionProgress,
  spans: readonly MotionSpan[],
  settings: MotionSettings,
  nowMs: number,
): { clips: PlannedClip[]; progress: MotionProgress; wakeAtMs: number | null } {
  const clips: PlannedClip[] = [];
  let { doneToMs } = progress;
  const pieces = { ...progress.pieces };
  let wakeAtMs: number | null = null;
  for (const group of groups(spans, settings, nowMs)) {
    let fromMs = Math.max(group.fromMs, doneToMs);
    const add = (toMs: number): void => {
      const piece = pieces[group.event] ?? 0;
      clips.push({ event: group.event, piece, fromMs, toMs });
      pieces[group.event] = piece + 1;
      fromMs = toMs;
      doneToMs = toMs;
    };
    const end = group.going ? nowMs : group.toMs;
    while (end - fromMs > settings.maxLengthMs) add(fromMs + settings.maxLengthMs);
    const due = group.going ? fromMs + settings.maxLengthMs + 1 : group.toMs;
    if (!group.going && nowMs >= group.toMs && group.toMs > fromMs) add(group.toMs);
    else if (nowMs < due) wakeAtMs = Math.min(wakeAtMs ?? due, due);
  }
  return { clips, progress: { doneToMs, pieces }, wakeAtMs };
}

function groups(
  spans: readonly MotionSpan[],
  settings: MotionSettings,
  nowMs: number,
): { event: string; fromMs: number; toMs: number; going: boolean }[] {
  const found: { event: string; fromMs: number; toMs: number; going: boolean }[] = [];
  for (const span of spans) {
    const fromMs = span.startMs - settings.preRollMs;
    const toMs = (span.endMs ?? Math.max(nowMs, span.startMs)) + settings.postRollMs;
    const last = found.at(-1);
    if (last !== undefined && fromMs <= last.toMs) {
      last.toMs = Math.max(last.toMs, toMs);
      last.going ||= span.endMs === null;
    } else found.push({ event: span.id, fromMs, toMs, going: span.endMs === null });
  }
  return found;
}
