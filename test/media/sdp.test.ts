import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BluelightError } from '../../src/base/errors.js';
import { parseSdp, videoTrack } from '../../src/media/sdp.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1e9);
console.log(`sdp.test seed ${SEED}`);

const CAMERA = `v=0\r
o=- 1109162014219182 1109162014219192 IN IP4 x.y.z.w\r
s=Media Presentation\r
c=IN IP4 0.0.0.0\r
t=0 0\r
a=control:rtsp://10.0.0.9/Streaming/Channels/101/\r
m=audio 0 RTP/AVP 0\r
a=control:trackID=2\r
m=application 0 RTP/AVP 107\r
a=rtpmap:107 vnd.onvif.metadata/90000\r
m=video 0 RTP/AVP 98 96\r
b=AS:5100\r
a=control:rtsp://10.0.0.9/Streaming/Channels/101/trackID=1\r
a=rtpmap:96 h264/90000\r
a=rtpmap:98 VP8/90000\r
a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z00AKpWoHgCJ+WEAAAMAAQAAAwAehA==,aO48gA==\r
a=recvonly\r
`;

test('the H.264 track of a camera that also has audio, metadata and another format', () => {
  const sdp = parseSdp(CAMERA);
  expect(sdp.control).toBe('rtsp://10.0.0.9/Streaming/Channels/101/');
  expect(sdp.media.map((one) => one.kind)).toEqual(['audio', 'application', 'video']);
  const track = videoTrack(sdp);
  expect(track).toMatchObject({
    codec: 'h264',
    payloadType: 96,
    control: 'rtsp://10.0.0.9/Streaming/Channels/101/trackID=1',
  });
  expect(track.parameterSets.map((set) => Buffer.from(set).toString('base64'))).toEqual([
    'Z00AKpWoHgCJ+WEAAAMAAQAAAwAehA==',
    'aO48gA==',
  ]);
});

test('H.265 with its three kinds of parameter sets, and without any', () => {
  const text = (fmtp: string): string => `v=0\nm=video 0 RTP/AVP 97\na=rtpmap:97 H265/90000\n${fmtp}`;
  const set = (first: number): string => Buffer.from([first, 1, 2, 3]).toString('base64');
  const full = text(`a=fmtp:97 sprop-sps=${set(0x42)};sprop-vps=${set(0x40)};sprop-pps=${set(0x44)},${set(0x44)}`);
  expect(videoTrack(parseSdp(full)).parameterSets.map((one) => one[0])).toEqual([0x40, 0x42, 0x44, 0x44]);
  expect(videoTrack(parseSdp(text('')))).toMatchObject({ codec: 'h265', parameterSets: [], control: undefined });
});

test('what cannot be received is named', () => {
  const of = (lines: string) => (): unknown => videoTrack(parseSdp(`v=0\n${lines}`));
  expect(of('m=video 0 RTP/AVP 26')).toThrow('JPEG');
  expect(of('m=video 0 RTP/AVP 96\na=rtpmap:96 AV1/90000')).toThrow('AV1');
  expect(of('m=audio 0 RTP/AVP 0')).toThrow('no video');
  expect(of('m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=2')).toThrow('interleaved');
  expect(of('m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\na=fmtp:96 sprop-max-don-diff=2')).toThrow('interleaved');
  expect(() => parseSdp('<html>')).toThrow('readable');
});

test('any text: a description or a named error, quickly', () => {
  const line = fc.oneof(
    fc.constantFrom(
      ...CAMERA.split('\r\n'),
      'm=video',
      'a=rtpmap:999 X/0',
      'a=fmtp:96',
      'm=video 0 RTP/AVP 96 96 -1 x',
    ),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
      try {
        videoTrack(parseSdp(lines.join('\r\n')));
      } catch (error) {
        expect(error).toBeInstanceOf(BluelightError);
        expect(['SDP_INVALID', 'STREAM_UNSUPPORTED']).toContain((error as BluelightError).code);
      }
    }),
    { seed: SEED, numRuns: 2_000 },
  );
  const begin = performance.now();
  parseSdp(`v=0\n${'m=video 0 RTP/AVP 96\na=control:x\n'.repeat(100_000)}`);
  expect(performance.now() - begin).toBeLessThan(200);
});
