import { errorMessage } from '../../base/errors.js';
import {
  exportQuery,
  liveQuery,
  motionBody,
  motionQuery,
  rangeQuery,
  recordingsBody,
  streamMessage,
  timelineBody,
  type RangeQuery,
  type RecordingsBody,
  type TimelineBody,
} from '../../contract/http.js';
import { streamCoverage } from '../../contract/coverage.js';
import { toUtc } from '../../contract/primitives.js';
import { watchLive } from '../live.js';
import { rangedFile } from '../byte-range.js';
import { fileOf, footageFile } from '../footage-file.js';
import { HLS_TYPE, playlist } from '../hls.js';
import { playbackFrames, PLAYBACK_TYPE } from '../playback.js';
import type { FootagePart } from '../ports.js';
import { footage, rangeOf, type Call, type Target } from '../route.js';
import { download, streamed } from '../stream.js';
import { everyCamera, fromNow } from '../targets.js';

const asked = (_services: unknown, call: Call<RangeQuery>): Target[] => [
  { camera: call.query.camera, range: rangeOf(call.query) },
];

const indexRoutes = [
  footage({
    method: 'GET',
    path: '/timeline',
    summary: 'For a timeline: what is recorded, the gaps with their reasons, and the motion marks.',
    auth: 'session',
    access: 'timeline',
    query: rangeQuery,
    response: { status: 200, type: 'application/json', schema: timelineBody },
    targets: asked,
    async handler({ ports }, { query }, grants): Promise<TimelineBody> {
      const range = rangeOf(query);
      const [coverage, motion] = await Promise.all([
        ports.footage.coverage(grants.one(), query.role, range),
        ports.motion(grants.one(), range),
      ]);
      return { ...coverage, motion };
    },
  }),
  footage({
    method: 'GET',
    path: '/coverage',
    summary: 'Exact recorded spans and gaps of one stream, from the index.',
    auth: 'session',
    access: 'timeline',
    query: rangeQuery,
    response: { status: 200, type: 'application/json', schema: streamCoverage },
    targets: asked,
    handler: ({ ports }, { query }, grants) => ports.footage.coverage(grants.one(), query.role, rangeOf(query)),
  }),
  footage({
    method: 'GET',
    path: '/motion',
    summary: 'Motion events of one camera or of all that may be seen, oldest first.',
    auth: 'session',
    access: 'motion',
    omitDenied: true,
    query: motionQuery,
    response: { status: 200, type: 'application/json', schema: motionBody },
    async targets(services, { query }) {
      const all = query.camera === undefined ? await everyCamera(services) : [{ camera: query.camera }];
      return all.map(({ camera }) => ({ camera, range: rangeOf(query) }));
    },
    async handler({ ports }, { query }, grants) {
      const lists = await Promise.all(grants.all().map((grant) => ports.motion(grant, rangeOf(query))));
      return { events: lists.flat().sort((a, b) => (a.start < b.start ? -1 : 1)) };
    },
  }),
  footage({
    method: 'GET',
    path: '/recordings',
    summary: 'The files that a range makes: one per unbroken recording, rounded out to whole segments.',
    auth: 'session',
    // Of what an export gives, so asked for as one: whole segments.
    access: 'export',
    query: rangeQuery,
    response: { status: 200, type: 'application/json', schema: recordingsBody },
    targets: asked,
    async handler({ ports }, { query }, grants): Promise<RecordingsBody> {
      const parts = await ports.footage.parts(grants.one(), query.role, rangeOf(query));
      return { camera: query.camera, role: query.role, parts: parts.flatMap(describePart) };
    },
  }),
];

const pictureRoutes = [
  footage({
    method: 'GET',
    path: '/playback',
    summary:
      'Footage of a range for a player. Frames of kind (1 byte), length (4 bytes, big-endian) and payload: ' +
      '1 a JSON message (run, gap, end), 2 the init of the run just announced, 3 the fragments of a segment.',
    auth: 'session',
    access: 'playback',
    query: rangeQuery,
    response: { status: 200, type: PLAYBACK_TYPE, schema: streamMessage },
    targets: asked,
    handler: (services, call, grants) =>
      streamed(
        services,
        call,
        grants.one(),
        playbackFrames(services.ports.footage, grants.one(), call.query.role, rangeOf(call.query)),
        { 'content-type': PLAYBACK_TYPE },
      ),
  }),
  footage({
    method: 'GET',
    path: '/playback.m3u8',
    summary: 'Footage of a range for a player of HLS (RFC 8216): byte ranges of /playback.mp4, so that it can scrub.',
    auth: 'session',
    access: 'playback',
    query: rangeQuery,
    response: { status: 200, type: HLS_TYPE },
    targets: asked,
    async handler({ ports }, { query }, grants) {
      const { camera, role } = query;
      const grant = grants.one();
      const [parts, coverage] = await Promise.all([
        ports.footage.parts(grant, role, rangeOf(query)),
        ports.footage.coverage(grant, role, rangeOf(query)),
      ]);
      const files = parts
        .filter((part) => part.segments.length > 0)
        .map((part) => fileOf(ports.footage, grant, role, part));
      const text = playlist(files, coverage.gaps, ({ part }) => {
        const from = toUtc(part.segments[0]!.fromMs);
        const to = toUtc(part.segments.at(-1)!.toMs);
        return `playback.mp4?${new URLSearchParams({ camera, role, from, to, run: part.run }).toString()}`;
      });
      return new Response(text, { headers: { 'content-type': HLS_TYPE, 'cache-control': 'no-store' } });
    },
  }),
  footage({
    method: 'GET',
    path: '/playback.mp4',
    summary: 'One part of a playlist as an MP4 file, for players that ask for ranges of it.',
    auth: 'session',
    access: 'playback',
    query: exportQuery,
    response: { status: 200, type: 'video/mp4' },
    ranges: true,
    targets: asked,
    async handler(services, call, grants) {
      const { role, run } = call.query;
      const file = await footageFile(services.ports.footage, grants.one(), role, rangeOf(call.query), run);
      return rangedFile(services, call, grants.one(), file, { 'content-type': 'video/mp4' });
    },
  }),
  footage({
    method: 'GET',
    path: '/export.mp4',
    summary: 'Footage of a range as one MP4 file: byte for byte what the camera sent, in whole segments.',
    auth: 'session',
    access: 'export',
    query: exportQuery,
    response: { status: 200, type: 'video/mp4' },
    ranges: true,
    targets: asked,
    async handler(services, call, grants) {
      const { camera, role, run } = call.query;
      const file = await footageFile(services.ports.footage, grants.one(), role, rangeOf(call.query), run);
      const { segments } = file.part;
      const name = `${camera}-${role}-${stamp(segments[0]!.fromMs)}-${stamp(segments.at(-1)!.toMs)}.mp4`;
      return rangedFile(services, call, grants.one(), file, { ...download(name), 'content-type': 'video/mp4' });
    },
  }),
  footage({
    method: 'GET',
    path: '/live',
    summary:
      'WebSocket. Live pictures for Media Source Extensions from the very stream that is recorded: ' +
      'text messages (run, paused, end); after `run` one binary message is the init, the others are fragments.',
    auth: 'session',
    access: 'live',
    query: liveQuery,
    response: { status: 101, type: 'application/json', schema: streamMessage },
    targets: ({ clock }, { query }) => [{ camera: query.camera, range: fromNow(clock.now()) }],
    socket: ({ clock, log, ports }, call, grants) =>
      watchLive({
        clock,
        live: ports.live,
        grant: grants.one(),
        role: call.query.role,
        session: call.signal,
        onEnd(bytes, why) {
          ports
            .finished(grants.one(), { outcome: 'done', bytes, why })
            .catch((error: unknown) => log.error({ error: errorMessage(error) }, 'a live view is not told to its end'));
        },
      }),
  }),
];

export const footageRoutes = [...indexRoutes, ...pictureRoutes];

function describePart(part: FootagePart): RecordingsBody['parts'] {
  const first = part.segments[0];
  const last = part.segments.at(-1);
  if (first === undefined || last === undefined) return [];
  const { run, codec, width, height } = part;
  const bytes = part.segments.reduce((sum, segment) => sum + segment.bytes, 0);
  return [
    {
      run,
      codec,
      width,
      height,
      from: toUtc(first.fromMs),
      to: toUtc(last.toMs),
      bytes,
      segments: part.segments.length,
    },
  ];
}

/** `20261123T140500Z`: sorts, and is a file name everywhere. */
function stamp(ms: number): string {
  return toUtc(ms).replace(/[-:]|\.\d+/g, '');
}
