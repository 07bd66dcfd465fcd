import { expect, test } from 'vitest';
import { pickStreams, type StreamOffer } from '../../src/cameras/pick-streams.js';

function offer(profile: string, width: number, height: number, more: Partial<StreamOffer> = {}): StreamOffer {
  return { profile, width, height, codec: 'h264', uri: `rtsp://10.0.0.5/${profile}`, fps: 15, ...more };
}

const MAIN = offer('main', 1920, 1080);
const SUB = offer('sub', 640, 360);
const THIRD = offer('third', 1280, 720);

test.each<[string, StreamOffer[], [string, string | null] | undefined]>([
  ['main first', [MAIN, SUB], ['main', 'sub']],
  ['sub first', [SUB, MAIN], ['main', 'sub']],
  ['three: the middle one is neither', [THIRD, SUB, MAIN], ['main', 'sub']],
  ['a single stream', [MAIN], ['main', null]],
  ['a thumbnail is no sub', [MAIN, offer('tiny', 176, 144)], ['main', null]],
  ['a thumbnail beside a sub', [offer('tiny', 176, 144), SUB, MAIN], ['main', 'sub']],
  ['two names of one stream', [MAIN, { ...SUB, uri: MAIN.uri }], ['main', null]],
  ['two streams of one size', [MAIN, offer('copy', 1920, 1080)], ['main', null]],
  ['H.265 main, H.264 sub', [{ ...MAIN, codec: 'h265' }, SUB], ['main', 'sub']],
  ['of equal subs the one in H.264', [MAIN, offer('hevc', 640, 360, { codec: 'h265' }), SUB], ['main', 'sub']],
  ['of equal mains the faster', [MAIN, SUB, offer('fast', 1920, 1080, { fps: 30 })], ['fast', 'sub']],
  ['MJPEG is left aside', [offer('mjpeg', 3840, 2160, { codec: 'other' }), SUB, MAIN], ['main', 'sub']],
  ['nothing but MJPEG', [offer('mjpeg', 1280, 720, { codec: 'other' })], ['mjpeg', null]],
  ['nothing', [], undefined],
])('%s', (_name, offers, expected) => {
  const picked = pickStreams(offers);
  expect(picked && [picked.main.profile, picked.sub?.profile ?? null]).toEqual(expected);
});
