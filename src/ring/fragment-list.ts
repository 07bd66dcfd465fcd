/** One fragment in a segment: enough to seek in it without opening the file. */
export interface FragmentEntry {
  bytes: number;
  ticks: number;
  key: boolean;
}

/** A fragment with its place: `offset` in the body, `atTicks` since the start of the segment. */
export interface PlacedFragment extends FragmentEntry {
  offset: number;
  atTicks: number;
}

/** Unsigned LEB128 pairs: bytes, ticks * 2 + key. About six bytes per fragment. */
export function encodeFragments(list: readonly FragmentEntry[]): Buffer {
  const out: number[] = [];
  for (const { bytes, ticks, key } of list) {
    pushVarint(out, bytes);
    pushVarint(out, ticks * 2 + (key ? 1 : 0));
  }
  return Buffer.from(out);
}

export function decodeFragments(list: Uint8Array): PlacedFragment[] {
  const out: PlacedFragment[] = [];
  let at = 0;
  let offset = 0;
  let atTicks = 0;
  const next = (): number => {
    let value = 0;
    for (let scale = 1; at < list.length; scale *= 128) {
      const byte = list[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < list.length) {
    const bytes = next();
    const word = next();
    const ticks = Math.floor(word / 2);
    out.push({ bytes, ticks, key: word % 2 === 1, offset, atTicks });
    offset += bytes;
    atTicks += ticks;
  }
  return out;
}

function pushVarint(out: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    out.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}
