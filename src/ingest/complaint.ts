import { CLEAR_ONLY } from '../media/rtsp-auth.js';
import type { EngineEnd } from './ports.js';

export const REFUSED: EngineEnd = { cause: 'refused', detail: 'the camera refuses the user name or password' };

export const NOT_RECORDED: EngineEnd = {
  cause: 'unfit',
  detail: 'the video is neither H.264 nor H.265; set this stream to H.264 or H.265 on the camera itself',
};

export const CLEAR: EngineEnd = { cause: 'unfit', detail: `${CLEAR_ONLY.message}; ${CLEAR_ONLY.fix}` };

/** What ffmpeg's complaints mean, most telling first. The wording is that of libavformat/rtsp.c and strerror. */
const MEANINGS: readonly [RegExp, EngineEnd][] = [
  [/401 Unauthorized|403 Forbidden|Server returned 40[13]\b/, REFUSED],
  [/404 Not Found|Server returned 404|Server returned 400/, { cause: 'invalid', detail: 'the camera does not know this stream address' }],
  [/453|Server returned 5XX/, { cause: 'offline', detail: 'the camera has no room for another connection' }],
  [/Nonmatching transport|Server returned 4XX/, { cause: 'unsupported', detail: 'the camera does not send video over TCP' }],
  [/Connection refused/, { cause: 'offline', detail: 'the camera refuses the connection' }],
  [/timed out|No route to host|unreachable|Host is down/i, { cause: 'offline', detail: 'the camera does not answer' }],
  [/Connection reset|Broken pipe|End of file/, { cause: 'offline', detail: 'the camera closed the connection' }],
  [/resolve hostname|Name or service not known|Temporary failure in name/, { cause: 'offline', detail: "the camera's name is unknown" }],
  [/matches no streams|does not contain any stream/, { cause: 'invalid', detail: 'the camera offers no video' }],
  [/Could not find tag for codec|Unsupported codec/, NOT_RECORDED],
  [/Invalid data found/, { cause: 'invalid', detail: 'the camera sends something that is not video' }],
]; // prettier-ignore

/** Why a run of ffmpeg ended, from what it printed and how it ended. */
export function classifyEnd(lines: readonly string[], code: number | null, signal: string | null): EngineEnd {
  const text = lines.join('\n');
  for (const [pattern, end] of MEANINGS) if (pattern.test(text)) return end;
  if (code === 0) return { cause: 'offline', detail: 'the camera ended the stream' };
  return { cause: 'broken', detail: `ffmpeg ended with ${signal ?? `code ${String(code)}`}` };
}

/** Complaints that every start brings and that mean nothing. */
export function isHarmless(line: string): boolean {
  return /Timestamps are unset|Non-monotonous DTS|pts has no value|not enough frames to estimate rate/.test(line);
}
