/** Seconds of a clip. */
export interface Span {
  start: number;
  end: number;
}

export interface Truth {
  duration: number;
  events: Span[];
  ignore?: Span[];
}

export interface Score {
  events: number;
  hit: number;
  told: number;
  good: number;
  false: number;
  /** Steps of 0.1 s. */
  quiet: number;
  flagged: number;
  tp: number;
  fp: number;
  fn: number;
  latency: number[];
}

/** A detection may begin before its event, and end after it (post-roll is no fault). */
const SLACK_S = 1;
const TAIL_S = 5;

/** Compares what was told with what happened: counted by event, and by tenth of a second. */
export function score(truth: Truth, told: readonly Span[]): Score {
  const ignore = truth.ignore ?? [];
  const wide = [...truth.events.map(({ start, end }) => ({ start: start - SLACK_S, end: end + TAIL_S })), ...ignore];
  const early = truth.events.map(({ start, end }) => ({ start: start - SLACK_S, end }));
  const hits = early.map((event) => told.filter((one) => touch(one, event)));
  const good = told.filter((one) => wide.some((span) => touch(one, span)));
  const result: Score = {
    ...{ events: truth.events.length, hit: hits.filter((found) => found.length > 0).length },
    ...{ told: told.length, good: good.length, false: told.length - good.length },
    ...{ quiet: 0, flagged: 0, tp: 0, fp: 0, fn: 0 },
    latency: hits.flatMap((found, i) =>
      found.length === 0 ? [] : Math.max(0, Math.min(...found.map((one) => one.start)) - truth.events[i]!.start),
    ),
  };
  for (let k = 0; k < truth.duration * 10; k++) {
    const t = k / 10 + 0.05;
    const on = within(t, told);
    if (within(t, truth.events)) {
      if (on) result.tp++;
      else result.fn++;
    } else if (!within(t, wide)) {
      result.quiet++;
      if (on) {
        result.flagged++;
        result.fp++;
      }
    }
  }
  return result;
}

export function sum(scores: readonly Score[]): Score {
  const total = score({ duration: 0, events: [] }, []);
  for (const one of scores) {
    for (const key of ['events', 'hit', 'told', 'good', 'false', 'quiet', 'flagged', 'tp', 'fp', 'fn'] as const) {
      total[key] += one[key];
    }
    total.latency.push(...one.latency);
  }
  return total;
}

/** Shares 0..1, null where nothing could be counted. */
export function figures(s: Score): {
  recall: number | null;
  precision: number | null;
  quietPct: number;
  f1: number | null;
  worst: number;
} {
  const share = (part: number, whole: number): number | null =>
    whole === 0 ? null : Math.round((1e3 * part) / whole) / 1e3;
  return {
    recall: share(s.hit, s.events),
    precision: share(s.good, s.told),
    quietPct: s.quiet === 0 ? 0 : Math.round((1e4 * s.flagged) / s.quiet) / 100,
    f1: share(2 * s.tp, 2 * s.tp + s.fp + s.fn),
    worst: Math.round(10 * Math.max(0, ...s.latency)) / 10,
  };
}

function touch(a: Span, b: Span): boolean {
  return a.start <= b.end && a.end >= b.start;
}

function within(t: number, spans: readonly Span[]): boolean {
  return spans.some(({ start, end }) => t >= start && t <= end);
}
