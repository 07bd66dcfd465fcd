export type NumberRange = [from: number, to: number];

/** Sorted numbers as ranges of those that follow each other. */
export function toRanges(sorted: readonly number[]): NumberRange[] {
  const ranges: NumberRange[] = [];
  for (const seq of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === seq - 1) last[1] = seq;
    else ranges.push([seq, seq]);
  }
  return ranges;
}
