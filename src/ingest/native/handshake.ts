import { header, parseSession, parseTransport, type RtspHeaders, type RtspResponse } from '../../media/rtsp.js';
import { parseSdp, videoTrack, type VideoTrack } from '../../media/sdp.js';
import { formatSource, type SourceUrl } from '../source.js';
import { controlAddress, controlBase } from './address.js';
import type { RtspConnection } from './connection.js';
import { failure } from './failure.js';

/** A stream as the camera describes it. */
export interface Described {
  track: VideoTrack;
  /** Address of the track, for SETUP. */
  trackUri: string;
  /** Address of the whole session, for PLAY and what follows. */
  sessionUri: string;
  /** What the camera says it can do; upper case. */
  methods: ReadonlySet<string>;
}

export interface Playing {
  sessionId: string;
  timeoutS: number;
  rtpChannel: number;
  rtcpChannel: number;
}

/** OPTIONS and DESCRIBE. Gives the answer itself if it is a redirect. */
export async function describe(connection: RtspConnection, source: SourceUrl): Promise<Described | RtspResponse> {
  const uri = formatSource(source);
  const options = await connection.request('OPTIONS', uri, [], true);
  const response = await connection.request('DESCRIBE', uri, [['Accept', 'application/sdp']]);
  if (response.status >= 300) return response;
  const sdp = parseSdp(Buffer.from(response.body).toString('utf8'));
  const track = videoTrack(sdp);
  const { headers } = response;
  const base = controlBase(uri, header(headers, 'content-base'), header(headers, 'content-location'));
  return {
    track,
    trackUri: controlAddress(source, base, track.control),
    sessionUri: controlAddress(source, base, sdp.control),
    methods: methodsOf(options.headers),
  };
}

function methodsOf(headers: RtspHeaders): Set<string> {
  const names = (headers.get('public') ?? []).flatMap((value) => value.split(','));
  return new Set(names.map((name) => name.trim().toUpperCase()));
}

/** SETUP of the video track in channels 0 and 1 of the connection; the camera may choose others. */
export async function setup(connection: RtspConnection, described: Described): Promise<Playing> {
  const transport = 'RTP/AVP/TCP;unicast;interleaved=0-1';
  const { status, headers } = await connection.request('SETUP', described.trackUri, [['Transport', transport]]);
  const answer = parseTransport(header(headers, 'transport') ?? transport);
  if (status >= 300) throw failure('invalid', 'the camera wants to send us to another address; this is not followed');
  if (!answer.tcp) throw failure('unsupported', 'the camera does not send video over TCP');
  const { id, timeoutS } = parseSession(header(headers, 'session') ?? '');
  if (id === '') throw failure('invalid', 'the camera opens no session');
  const [rtpChannel, rtcpChannel] = answer.channels ?? [0, 1];
  return { sessionId: id, timeoutS, rtpChannel, rtcpChannel };
}

export async function play(connection: RtspConnection, described: Described, playing: Playing): Promise<void> {
  const { status } = await connection.request('PLAY', described.sessionUri, [
    ['Session', playing.sessionId],
    ['Range', 'npt=0.000-'],
  ]);
  if (status >= 300) throw failure('invalid', 'the camera wants to send us to another address; this is not followed');
}
