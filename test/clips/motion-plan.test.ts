import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planMotionClips, type MotionProgress, type MotionSpan } from '../../src/clips/motion-plan.js';

const settings = { preRollMs: 5, postRollMs: 5, maxLengthMs: 60 };
const none: MotionProgress = { doneToMs: 0, pieces: {} };

function span(id: string, startMs: number, endMs: number | null): MotionSpan {
  return { id, startMs, endMs };
}

test('one event makes one clip with its rolls, when the post-roll has passed', () => {
  const before = planMotionClips(none, [span('a', 100, 110)], settings, 112);
  expect(before).toMatchObject({ clips: [], wakeAtMs: 115 });
  const after = planMotionClips(none, [span('a', 100, 110)], settings, 115);
  expect(after.clips).toEqual([{ event: 'a', piece: 0, fromMs: 95, toMs: 115 }]);
});

test('events whose rolls touch are one clip, named after the first', () => {
  const { clips } = planMotionClips(
    none,
    [span('a', 100, 110), span('b', 118, 120), span('c', 150, 151)],
    settings,
    999,
  );
  expect(clips).toEqual([
    { event: 'a', piece: 0, fromMs: 95, toMs: 125 },
    { event: 'c', piece: 0, fromMs: 145, toMs: 156 },
  ]);
});

test('an event that goes on is cut at the longest length and goes on as its next piece', () => {
  const first = planMotionClips(none, [span('a', 100, null)], settings, 160);
  expect(first.clips).toEqual([{ event: 'a', piece: 0, fromMs: 95, toMs: 155 }]);
  const second = planMotionClips(first.progress, [span('a', 100, 170)], settings, 175);
  expect(second.clips).toEqual([{ event: 'a', piece: 1, fromMs: 155, toMs: 175 }]);
});

test('an event that begins in the rolls of a finished clip goes on behind it', () => {
  const first = planMotionClips(none, [span('a', 100, 110)], settings, 116);
  const second = planMotionClips(first.progress, [span('b', 117, 120)], settings, 130);
  expect(second.clips).toEqual([{ event: 'b', piece: 0, fromMs: 115, toMs: 125 }]);
});

test('in whatever steps time passes, all motion is covered, nothing twice, nothing longer than allowed', () => {
  const events = fc.array(
    fc.record({ gap: fc.integer({ min: 1, max: 40 }), length: fc.integer({ min: 1, max: 150 }) }),
    {
      minLength: 1,
      maxLength: 8,
    },
  );
  fc.assert(
    fc.property(events, fc.integer({ min: 1, max: 30 }), (list, step) => {
      let at = 100;
      const spans = list.map((event, i) => {
        const startMs = at + event.gap;
        at = startMs + event.length;
        return { id: `e${i}`, startMs, endMs: at };
      });
      let progress = none;
      const clips: { fromMs: number; toMs: number; event: string; piece: number }[] = [];
      for (let now = 100; now <= at + 40; now += step) {
        const seen = spans
          .filter((one) => one.startMs <= now)
          .map((one) => ({ ...one, endMs: one.endMs <= now ? one.endMs : null }));
        const plan = planMotionClips(progress, seen, settings, now);
        progress = plan.progress;
        clips.push(...plan.clips);
      }
      for (const [i, clip] of clips.entries()) {
        expect(clip.toMs - clip.fromMs).toBeLessThanOrEqual(60 + 10);
        if (i > 0) expect(clip.fromMs).toBeGreaterThanOrEqual(clips[i - 1]!.toMs);
      }
      for (const one of spans) {
        for (let t = one.startMs; t < one.endMs; t++) {
          expect(clips.filter((clip) => clip.fromMs <= t && t < clip.toMs)).toHaveLength(1);
        }
      }
      expect(new Set(clips.map((clip) => `${clip.event}/${clip.piece}`)).size).toBe(clips.length);
    }),
    { seed: 5, numRuns: 40 },
  );
});
