import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { analyzeFile, type FoundEvent } from '../../src/motion/analyze.js';
import { Scene as Street } from '../../src/sim/scene/index.js';
import { FRAME_HEIGHT, FRAME_WIDTH } from '../../src/motion/grid.js';
import { encode, inTemp, processes } from './video.js';

async function eventsOf(frames: Uint8Array[], fps: number): Promise<FoundEvent[]> {
  let events: FoundEvent[] = [];
  await inTemp(async (directory) => {
    const path = join(directory, 'street.mp4');
    writeFileSync(path, await encode(frames, { gop: fps, fps }));
    ({ events } = await analyzeFile({ processes, path }));
  });
  return events;
}

/** 30 s of a street through which one vehicle drives every ten seconds, beginning in the middle of a passage. */
function begunAt(second: number, fps: number): { frames: Uint8Array[]; passages: number[] } {
  const street = new Street({ seed: 6, loopSeconds: 10, activity: 0.3 });
  const size = { width: FRAME_WIDTH, height: FRAME_HEIGHT };
  const loop = [...street.grayFrames({ ...size, fps })].map(({ gray }) => gray);
  const frames = Array.from({ length: 30 * fps }, (_, i) => loop[(second * fps + i) % loop.length]!);
  const { start } = street.truth().events[0]!;
  return { frames, passages: [1, 2].map((loops) => start - second + loops * 10) };
}

test.each([4, 5])(
  'a stream that begins at second %i, in the middle of a passage, tells each further one by itself',
  async (s) => {
    const { frames, passages } = begunAt(s, 10);
    const events = await eventsOf(frames, 10);
    for (const event of events) expect(event.end - event.start).toBeLessThan(6);
    for (const at of passages) {
      expect(events.filter(({ start, end }) => start < at + 3.2 && end > at)).toHaveLength(1);
    }
  },
);
