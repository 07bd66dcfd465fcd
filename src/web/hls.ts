import type { StreamCoverage } from '../contract/coverage.js';
import { toUtc } from '../contract/primitives.js';
import type { FootageFile } from './footage-file.js';

/** Media type of a playlist (RFC 8216 §10). */
export const HLS_TYPE = 'application/vnd.apple.mpegurl';

/**
 * A playlist (RFC 8216) of what is recorded: every segment is a byte range of the file of its part, so that a player
 * fetches only what is looked at. Times are those of the recording; where it stopped, a discontinuity with its reason.
 * @param address of the file of a part
 */
export function playlist(
  files: readonly FootageFile[],
  gaps: StreamCoverage['gaps'],
  address: (file: FootageFile) => string,
): string {
  const durations = files.flatMap(({ part }) => part.segments.map(({ fromMs, toMs }) => toMs - fromMs));
  const longest = durations.reduce((most, ms) => Math.max(most, ms), 1000);
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    `#EXT-X-TARGETDURATION:${Math.ceil(longest / 1000)}`,
    '#EXT-X-PLAYLIST-TYPE:VOD',
    '#EXT-X-INDEPENDENT-SEGMENTS',
  ];
  for (const [i, file] of files.entries()) {
    const { part, offsets } = file;
    const uri = address(file);
    const before = files[i - 1]?.part.segments.at(-1)?.toMs;
    if (before !== undefined) lines.push(...discontinuity(gaps, before, part.segments[0]!.fromMs));
    lines.push(`#EXT-X-MAP:URI="${uri}",BYTERANGE="${part.init.bytes}@0"`);
    for (const [n, { fromMs, toMs, bytes }] of part.segments.entries()) {
      lines.push(
        `#EXT-X-PROGRAM-DATE-TIME:${toUtc(fromMs)}`,
        `#EXTINF:${((toMs - fromMs) / 1000).toFixed(3)},`,
        `#EXT-X-BYTERANGE:${bytes}@${offsets[n]!}`,
        uri,
      );
    }
  }
  return `${[...lines, '#EXT-X-ENDLIST'].join('\n')}\n`;
}

function discontinuity(gaps: StreamCoverage['gaps'], fromMs: number, toMs: number): string[] {
  const between = gaps.filter((gap) => Date.parse(gap.from) < toMs && Date.parse(gap.to) > fromMs);
  return [...between.map((gap) => `# nothing from ${gap.from} to ${gap.to}: ${gap.reason}`), '#EXT-X-DISCONTINUITY'];
}
