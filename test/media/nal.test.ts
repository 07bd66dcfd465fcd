import { expect, test } from 'vitest';
import fc from 'fast-check';
import {
  AnnexBSplitter,
  fromAnnexB,
  isFirstSlice,
  isKeyNal,
  joinNals,
  nalsToAnnexB,
  parameterSetsOf,
  sameBytes,
  splitAnnexB,
  splitNals,
  toAnnexB,
} from '../../src/media/nal.js';
import {
  buildFrameStamp,
  buildUserDataSei,
  escapeRbsp,
  readFrameStamp,
  readUserData,
  unescapeRbsp,
} from '../../src/media/sei.js';

/** A unit as an encoder writes it: escaped, so that it holds no start code, and not ending in 0. */
const nal = fc
  .array(fc.constantFrom(0, 0, 0, 1, 2, 3, 0x67, 0xff), { minLength: 1, maxLength: 60 })
  .map((bytes) => escapeRbsp(Uint8Array.from([0x65, ...bytes, 0x80])));

test('units survive the way through Annex B, whole and in pieces of any size', () => {
  fc.assert(
    fc.property(fc.array(nal, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 20 }), (nals, step) => {
      const stream = nalsToAnnexB(nals);
      expect(splitAnnexB(stream)).toEqual(nals);
      const splitter = new AnnexBSplitter();
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < stream.length; at += step) pieces.push(...splitter.push(stream.subarray(at, at + step)));
      pieces.push(...splitter.flush());
      expect(pieces.map((piece) => [...piece])).toEqual(nals.map((one) => [...one]));
    }),
  );
});

test('length-prefixed and Annex B forms convert into each other without loss', () => {
  fc.assert(
    fc.property(fc.array(nal, { minLength: 1, maxLength: 8 }), (nals) => {
      const data = joinNals(nals);
      expect(splitNals(data)).toEqual(nals);
      expect(sameBytes(fromAnnexB(toAnnexB(data)), data)).toBe(true);
    }),
  );
});

test('a length that lies ends the list and is not read beyond the data', () => {
  expect(splitNals(Uint8Array.from([0, 0, 0, 1, 0x65, 0xff, 0xff, 0xff, 0xff, 1]))).toEqual([Uint8Array.from([0x65])]);
  expect(splitNals(Uint8Array.from([0, 0]))).toEqual([]);
});

test('three-byte start codes and trailing zeros are understood', () => {
  const stream = Uint8Array.from([9, 9, 0, 0, 1, 0x67, 1, 0, 0, 0, 0, 1, 0x68, 2, 0, 0]);
  expect(splitAnnexB(stream)).toEqual([Uint8Array.from([0x67, 1]), Uint8Array.from([0x68, 2])]);
});

test('a stream without start codes does not fill the memory', () => {
  const splitter = new AnnexBSplitter(1000);
  splitter.push(Uint8Array.from([0, 0, 1, 0x65]));
  expect(splitter.push(new Uint8Array(2000).fill(7))).toEqual([]);
  expect(splitter.flush()).toEqual([]);
  splitter.push(Uint8Array.from([0, 0, 1, 0x41, 0x9a]));
  expect(splitter.flush()).toEqual([Uint8Array.from([0x41, 0x9a])]);
});

test('key pictures, first slices and parameter sets are told apart in both codecs', () => {
  expect(isKeyNal('h264', Uint8Array.from([0x65, 0x88]))).toBe(true);
  expect(isKeyNal('h264', Uint8Array.from([0x41, 0x9a]))).toBe(false);
  expect(isKeyNal('h265', Uint8Array.from([0x26, 0x01, 0xac]))).toBe(true);
  expect(isKeyNal('h265', Uint8Array.from([0x02, 0x01, 0xd0]))).toBe(false);
  expect(isFirstSlice('h264', Uint8Array.from([0x41, 0x9a]))).toBe(true);
  expect(isFirstSlice('h264', Uint8Array.from([0x41, 0x1a]))).toBe(false);
  expect(isFirstSlice('h265', Uint8Array.from([0x02, 0x01, 0xd0]))).toBe(true);
  const sets = [Uint8Array.from([0x44, 1]), Uint8Array.from([0x42, 1]), Uint8Array.from([0x40, 1])];
  expect(parameterSetsOf('h265', sets).map((one) => one[0])).toEqual([0x40, 0x42, 0x44]);
});

test('emulation prevention is undone exactly', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3, 4), { maxLength: 80 }), (bytes) => {
      const rbsp = Uint8Array.from([...bytes, 0x80]);
      const escaped = escapeRbsp(rbsp);
      expect(unescapeRbsp(escaped)).toEqual(rbsp);
      expect(splitAnnexB(nalsToAnnexB([escaped])).length).toBe(1);
    }),
  );
});

test.each(['h264', 'h265'] as const)('a frame stamp comes back from an access unit of %s', (codec) => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 300, unit: 'grapheme' }),
      fc.nat(),
      fc.bigInt({ min: 0n, max: 1n << 63n }),
      (camera, frame, captureUs) => {
        const slice = Uint8Array.from(codec === 'h264' ? [0x41, 0x9a, 3] : [0x02, 0x01, 0xd0]);
        const other = buildUserDataSei(codec, { uuid: new Uint8Array(16).fill(7), bytes: Uint8Array.from([1, 2]) });
        const stamp = { camera, frame, captureUs };
        const data = joinNals([other, buildFrameStamp(codec, stamp), slice]);
        expect(readFrameStamp(codec, data)).toEqual(stamp);
      },
    ),
  );
  expect(readFrameStamp(codec, joinNals([Uint8Array.from([0x41, 0x9a])]))).toBeUndefined();
});

test('broken SEI is read without an error and without a result', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      readUserData('h264', Uint8Array.from([6, ...bytes]));
      expect(readUserData('h265', Uint8Array.from([0x40, 1, ...bytes]))).toEqual([]);
    }),
  );
  expect(readUserData('h264', Uint8Array.from([6, 5, 255, 255]))).toEqual([]);
});
