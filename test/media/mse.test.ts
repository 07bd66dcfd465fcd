import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { expect, test } from 'vitest';
import { Fragmenter } from '../../src/media/fragmenter.js';
import { buildInit } from '../../src/media/mp4.js';
import { isKeyAccessUnit, joinNals, parameterSetsOf } from '../../src/media/nal.js';
import { videoFormat } from '../../src/media/sps.js';
import { accessUnitsInFile, elementaryStream } from '../support/clips.js';

const CHROMIUM = '/usr/bin/chromium';

test.skipIf(!existsSync(CHROMIUM))('a browser plays the fragments as they come, from the middle of a run', async () => {
  const nals = accessUnitsInFile(await elementaryStream(), 'h264');
  const format = videoFormat('h264', parameterSetsOf('h264', nals[0]!))!;
  const fragmenter = new Fragmenter();
  const start = 90_000 * 3600;
  const cut = nals.flatMap((unit, index) =>
    fragmenter.push({
      data: joinNals(unit),
      key: isKeyAccessUnit('h264', unit),
      dts: start + index * 6000,
      pts: start + index * 6000,
      duration: 6000,
      wallMs: 0,
      monoMs: 0,
    }),
  );
  const fragments = [...cut, ...fragmenter.flush()];
  const parts = [buildInit(format), ...fragments.map((one) => one.bytes)].map((part) =>
    Buffer.from(part).toString('base64'),
  );
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    const seen = await page.evaluate(
      async ({ type, parts }) => {
        const { document, MediaSource, URL, atob } = globalThis as unknown as Record<string, any>; // eslint-disable-line
        const source = new MediaSource();
        const video = document.createElement('video');
        video.src = URL.createObjectURL(source);
        await new Promise((resolve) => source.addEventListener('sourceopen', resolve, { once: true }));
        const buffer = source.addSourceBuffer(type);
        for (const part of parts) {
          buffer.appendBuffer(Uint8Array.from(atob(part), (letter: string) => letter.charCodeAt(0)));
          await new Promise((resolve) => buffer.addEventListener('updateend', resolve, { once: true }));
        }
        video.currentTime = buffer.buffered.start(0) + 1;
        await new Promise((resolve) => video.addEventListener('seeked', resolve, { once: true }));
        const { length } = buffer.buffered;
        return {
          ranges: length,
          from: buffer.buffered.start(0),
          to: buffer.buffered.end(0),
          width: video.videoWidth,
          ready: video.readyState,
        };
      },
      { type: `video/mp4; codecs="${format.codecString}"`, parts },
    );
    expect(seen).toEqual({ ranges: 1, from: 3600, to: expect.closeTo(3604, 3) as number, width: 320, ready: 4 });
  } finally {
    await browser.close();
  }
});
