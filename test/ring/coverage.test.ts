import fc from 'fast-check';
import { expect, test } from 'vitest';
import { filesBelow, limits, Rig } from './support/rig.js';

type Step =
  | { do: 'record'; seconds: number }
  | { do: 'end'; reason: 'camera_offline' | 'stream_stalled' | 'paused' }
  | { do: 'wait'; seconds: number }
  | { do: 'restart' }
  | { do: 'crash' }
  | { do: 'refused' };

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('record' as const), seconds: fc.integer({ min: 1, max: 25 }) }),
    },
    fc.record({
      do: fc.constant('end' as const),
      reason: fc.constantFrom('camera_offline', 'stream_stalled', 'paused'),
    }),
    fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ do: fc.constantFrom('restart' as const, 'crash' as const, 'refused' as const) }),
  ) as fc.Arbitrary<Step>,
  { minLength: 1, maxLength: 14 },
);

interface Interval {
  fromMs: number;
  toMs: number;
  reason?: string;
}

/** What happened, second by second, written down beside the ring. */
class Model {
  readonly recorded: Interval[] = [];
  readonly gaps: Interval[] = [];
  /** The running ring has heard of the stream. */
  known = false;
  #gap: { fromMs: number; reason: string } | undefined;

  record(fromMs: number, toMs: number): void {
    this.close(fromMs);
    const last = this.recorded.at(-1);
    if (last?.toMs === fromMs) last.toMs = toMs;
    else this.recorded.push({ fromMs, toMs });
  }

  gap(fromMs: number, reason: string): void {
    if (this.#gap?.reason === reason) return;
    this.close(fromMs);
    this.#gap = { fromMs, reason };
  }

  close(atMs: number): void {
    if (this.#gap !== undefined && atMs > this.#gap.fromMs) this.gaps.push({ ...this.#gap, toMs: atMs });
    this.#gap = undefined;
  }

  clip(list: Interval[], fromMs: number, toMs: number): Interval[] {
    return list
      .map((i) => ({ ...i, fromMs: Math.max(fromMs, i.fromMs), toMs: Math.min(toMs, i.toMs) }))
      .filter((i) => i.toMs > i.fromMs);
  }
}

function play(rig: Rig, model: Model, step: Step): void {
  const now = rig.clock.wall;
  const active = rig.sources.has('a.main');
  switch (step.do) {
    case 'record':
      if (!active) rig.begin('a.main');
      rig.record(step.seconds);
      model.known = true;
      return model.record(now, rig.clock.wall);
    case 'end':
      if (!active) return;
      rig.end('a.main', step.reason);
      return model.gap(now, step.reason);
    case 'wait':
      // A camera that is silent without its run having ended would be ended by ingest.
      if (active) return play(rig, model, { do: 'end', reason: 'stream_stalled' });
      return rig.clock.pass(step.seconds * 1000);
    case 'restart':
      rig.restart();
      if (model.known) model.gap(now, 'agent_stopped');
      model.known = false;
      return;
    case 'crash':
      rig.crash();
      model.known = false;
      return active ? model.gap(now, 'agent_crashed') : undefined;
    case 'refused':
      if (active || model.recorded.length === 0) return;
      rig.ring.endRun('a.main', undefined, 'camera_refused');
      model.known = true;
      return model.gap(now, 'camera_refused');
  }
}

test('coverage is exact for any history: spans, gaps with reasons, nothing missing and nothing twice', () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  fc.assert(
    fc.property(
      steps,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (list, x, y) => {
        const rig = new Rig({ journalFileBytes: 3_000 }).open();
        try {
          const start = rig.clock.wall;
          const model = new Model();
          for (const step of list) {
            if (model.recorded.length === 0 && step.do !== 'record') continue;
            play(rig, model, step);
          }
          if (rig.sources.has('a.main')) play(rig, model, { do: 'end', reason: 'paused' });
          rig.clock.pass(5_000);
          const end = rig.clock.wall;
          model.close(end);
          const ranges = [
            [start, end],
            [start + Math.floor(Math.min(x, y) * (end - start)), start + Math.floor(Math.max(x, y) * (end - start))],
          ] as const;
          for (const [from, to] of ranges) {
            if (from >= to || model.recorded.length === 0) continue;
            const answer = rig.ring.coverage('a.main', from, to);
            expect(merged(answer.spans)).toEqual(model.clip(model.recorded, from, to));
            expect(answer.gaps).toEqual(model.clip(model.gaps, from, to));
          }
        } finally {
          rig.remove();
        }
      },
    ),
    { numRuns: 60, seed },
  );
}, 60_000);

/** A restart without a pause ends one span and begins the next at the same moment. */
function merged(spans: { fromMs: number; toMs: number }[]): Interval[] {
  const out: Interval[] = [];
  for (const { fromMs, toMs } of spans) {
    const last = out.at(-1);
    if (last?.toMs === fromMs) last.toMs = toMs;
    else out.push({ fromMs, toMs });
  }
  return out;
}

test('a boot at 1970 and a late NTP step: footage moves to where it belongs, nothing is lost or mislabelled', () => {
  const rig = new Rig().open();
  rig.trust = 'none';
  rig.clock.wall = 40_000;
  rig.begin('a.main');
  rig.record(25);
  rig.end('a.main');
  rig.clock.pass(5_000);
  rig.begin('a.main');
  rig.record(15);
  const step = Date.UTC(2026, 10, 23) - rig.clock.wall;
  rig.end('a.main', 'stream_invalid');
  rig.clock.wall += step;
  rig.ring.tick();
  rig.begin('a.main');
  rig.record(5);
  // NTP says that it has synchronised some time after the step.
  rig.trust = 'ntp';
  rig.record(10);
  rig.end('a.main');
  const start = 40_000 + step;
  const answer = rig.ring.coverage('a.main', start - 5_000, start + 60_000);
  expect(answer.spans.map((s) => [s.fromMs - start, s.toMs - start])).toEqual([
    [0, 25_000],
    [30_000, 60_000],
  ]);
  expect(answer.gaps.slice(1)).toEqual([{ fromMs: start + 25_000, toMs: start + 30_000, reason: 'camera_offline' }]);
  const [first] = rig.ring.plan('a.main', start, start + 10_000).files;
  expect(first!.segments[0]).toMatchObject({ startMs: start, clock: 'none' });
  // The record stays as it was written.
  expect(first!.segments[0]!.record.startMs).toBe(40_000);
  expect(rig.ring.coverage('a.main', 0, 1e9).spans).toEqual([]);
  rig.remove();
});

test('corrections survive a rebuild of the index', () => {
  const rig = new Rig({ journalFileBytes: 2_000 }).open();
  rig.trust = 'none';
  rig.clock.wall = 40_000;
  rig.begin('a.main');
  rig.record(45);
  rig.end('a.main');
  const step = Date.UTC(2026, 10, 23) - 40_000;
  rig.clock.wall += step;
  rig.trust = 'ntp';
  rig.record(1);
  const before = rig.ring.coverage('a.main', step, step + 100_000).spans;
  expect(before).toHaveLength(1);
  rig.ring.rebuild();
  while (rig.ring.rebuildStep());
  expect(rig.ring.coverage('a.main', step, step + 100_000).spans).toEqual(before);
  rig.remove();
});

test('jumps of a day either way delete nothing by age, and the floor of time keeps running', () => {
  const DAY = 86_400_000;
  const rig = new Rig({ limits: limits({ keepMs: 10 * DAY, originalsMs: 5 * DAY }) }).open();
  rig.ring.setProtections([]);
  rig.begin('a.main');
  rig.record(30);
  rig.end('a.main');
  const count = rig.files().length;
  for (const jump of [20 * DAY, -20 * DAY, 30 * DAY, -30 * DAY, -DAY, DAY]) {
    rig.clock.wall += jump;
    for (let i = 0; i < 10; i++) {
      rig.clock.pass(30_000);
      rig.ring.tick();
    }
    expect(rig.files(), `after a jump of ${jump / DAY} days`).toHaveLength(count);
  }
  // Real time, on the other hand, passes: originals go after 5 days, while they are older than trusted time allows.
  for (let day = 0; day < 6; day++) {
    for (let i = 0; i < 24; i++) {
      rig.clock.pass(3_600_000);
      rig.ring.tick();
    }
  }
  expect(rig.files()).toHaveLength(0);
  rig.remove();
});

test('footage of a clock that is a day off is put right when the clock is, whoever still vouched for it', () => {
  const DAY = 86_400_000;
  for (const jump of [DAY, -DAY]) {
    const rig = new Rig().open();
    const start = rig.clock.wall;
    rig.begin('a.main');
    rig.record(15);
    rig.clock.wall += jump;
    // For a while nobody has noticed, then the trust is gone, and with the right time it comes back.
    rig.record(20);
    rig.trust = 'rtc';
    rig.record(18);
    rig.clock.wall -= jump;
    rig.record(4);
    rig.trust = 'ntp';
    // In the middle of a segment, and with the next one.
    for (const [seconds, safe] of [
      [1, 57_000],
      [12, 69_000],
    ] as const) {
      rig.record(seconds);
      const { spans, gaps } = rig.ring.coverage('a.main', start, start + safe);
      const told = spans.map((s) => [s.fromMs - start, s.toMs - start]);
      expect(told, `${jump / DAY} d`).toEqual([[0, safe]]);
      expect(gaps).toEqual([]);
    }
    for (const other of [start + jump, start - jump]) {
      expect(rig.ring.coverage('a.main', other, other + 100_000).spans).toEqual([]);
    }
    rig.end('a.main');
    const segments = rig.ring.plan('a.main', start, start + 80_000).files.flatMap((file) => file.segments);
    expect(segments.map((s) => s.startMs - start)).toEqual(segments.map((_, i) => i * 10_000));
    rig.remove();
  }
});

test('a gap that spans the correction of the clock, or a jump, is told once and where it was', () => {
  const DAY = 86_400_000;
  const start = Date.UTC(2026, 10, 23);
  const gapsOf = (rig: Rig): unknown[] => {
    rig.ring.endRun('a.main', undefined, 'camera_offline');
    const { spans, gaps } = rig.ring.coverage('a.main', start, start + 50_000);
    expect(spans.map((s) => [s.fromMs - start, s.toMs - start])).toEqual([
      [0, 10_000],
      [40_000, 50_000],
    ]);
    expect(rig.ring.coverage('a.main', 0, start - 10 * DAY).gaps.filter((g) => g.reason === 'camera_offline')).toEqual(
      [],
    );
    return gaps.map((g) => [g.fromMs - start, g.toMs - start, g.reason]);
  };
  const offline = [[10_000, 40_000, 'camera_offline']];
  for (const restart of [false, true]) {
    const rig = new Rig().open();
    rig.trust = 'none';
    rig.clock.wall = 40_000;
    rig.begin('a.main');
    rig.record(10);
    rig.end('a.main');
    rig.record(10);
    rig.clock.wall = start + 20_000;
    rig.trust = 'ntp';
    rig.record(5);
    if (restart) rig.crash();
    rig.record(15);
    rig.begin('a.main');
    rig.record(10);
    expect(gapsOf(rig)).toEqual(offline);
    rig.remove();
  }
  for (const jump of [DAY, -DAY]) {
    const rig = new Rig().open();
    rig.clock.wall = start;
    rig.begin('a.main');
    rig.record(10);
    rig.end('a.main');
    rig.record(10);
    rig.clock.wall += jump;
    rig.record(20);
    rig.begin('a.main');
    rig.record(5);
    rig.clock.wall -= jump;
    rig.record(5);
    expect(gapsOf(rig), `${jump / DAY} d`).toEqual(offline);
    rig.remove();
  }
});

test('an untrusted clock never lets footage grow old', () => {
  const DAY = 86_400_000;
  const rig = new Rig({ limits: limits({ keepMs: DAY }) });
  rig.trust = 'rtc';
  rig.open();
  rig.ring.setProtections([]);
  rig.begin('a.main');
  rig.record(20);
  rig.end('a.main');
  const count = rig.files().length;
  for (let i = 0; i < 40; i++) {
    rig.clock.pass(DAY / 4);
    rig.ring.tick();
  }
  expect(rig.files()).toHaveLength(count);
  rig.remove();
});

/**
 * As ingest does it when it sees that the clock was set: a new run, and not a picture is missing. It reads the two
 * clocks at another moment than the ring does, on a loaded box.
 */
function renew(rig: Rig, stream = 'a.main'): void {
  rig.ring.endRun(stream, rig.sources.get(stream)!.run.run, 'unknown');
  rig.clock.wall += READ_LATER_MS;
  rig.begin(stream);
  rig.clock.wall -= READ_LATER_MS;
}

const READ_LATER_MS = 7;

test('a clock that is set makes no gap, and leaves none behind where it never was', () => {
  const DAY = 86_400_000;
  const start = Date.UTC(2026, 10, 23);
  for (const wrong of [40_000 - start, DAY, -DAY, 6_000, -6_000]) {
    for (const order of ['wrong first', 'right first'] as const) {
      const rig = new Rig().open();
      rig.clock.wall = start;
      rig.begin('a.main');
      if (order === 'right first') {
        rig.record(15);
        rig.clock.wall += wrong;
        // Ingest sees it at the next key frame only.
        rig.record(1);
        renew(rig);
      } else {
        rig.clock.wall += wrong;
        rig.trust = 'none';
        rig.begin('a.main');
        rig.record(16);
      }
      rig.record(13);
      rig.clock.wall -= wrong;
      rig.record(1);
      rig.trust = 'ntp';
      renew(rig);
      rig.record(15);
      rig.end('a.main');
      const about = `${wrong} ${order}`;
      const { spans, gaps } = rig.ring.coverage('a.main', start, start + 45_000);
      expect(spans, about).toHaveLength(1);
      expect(spans[0]).toMatchObject({ fromMs: start, toMs: start + 45_000 });
      expect(gaps, about).toEqual([]);
      const elsewhere = rig.ring.coverage('a.main', Math.min(0, start - 2 * DAY), start + 2 * DAY);
      expect(elsewhere.spans).toHaveLength(1);
      expect(elsewhere.gaps.map((g) => g.reason), about).toEqual(['not_recorded']); // prettier-ignore
      const segments = rig.ring.plan('a.main', start, start + 45_000).files.flatMap((file) => file.segments);
      for (const segment of segments) {
        const at = rig.clock.wall - rig.clock.mono + segment.record.monoMs;
        expect(Math.abs(segment.startMs - at), about).toBeLessThan(2_000);
      }
      rig.remove();
    }
  }
});

test('a gap that begins at a step of the clock is told from the last picture on, with its reason alone', () => {
  const start = Date.UTC(2026, 10, 23);
  for (const readLaterMs of [-READ_LATER_MS, READ_LATER_MS]) {
    const rig = new Rig().open();
    rig.clock.wall = start;
    rig.begin('a.main');
    rig.record(15);
    rig.clock.wall += 86_400_000;
    rig.end('a.main');
    rig.record(5);
    rig.clock.wall += readLaterMs - 86_400_000;
    rig.record(5);
    rig.begin('a.main');
    rig.record(15);
    rig.end('a.main', 'paused');
    const { spans, gaps } = rig.ring.coverage('a.main', start, start + 40_000);
    expect(spans).toHaveLength(2);
    expect(gaps).toEqual([{ fromMs: start + 15_000, toMs: spans[1]!.fromMs, reason: 'camera_offline' }]);
    rig.remove();
  }
});

test('a box that loses its power or is stopped, and comes up in 1970: the gap is told where it was', () => {
  const start = Date.UTC(2026, 10, 23);
  for (const [how, reason] of [
    ['crash', 'agent_crashed'],
    ['restart', 'agent_stopped'],
  ] as const) {
    for (const lateMs of [0, 3_000]) {
      const rig = new Rig().open();
      rig.clock.wall = start;
      rig.begin('a.main');
      rig.record(15);
      if (how === 'restart') rig.ring.close();
      // Off for an hour, and the clock with it.
      rig.clock.wall = 40_000;
      rig.clock.mono = 5_000;
      rig.trust = 'none';
      rig.crash({ bootId: 'boot-2' });
      rig.clock.pass(2_000);
      rig.begin('a.main');
      rig.record(15);
      const back = start + 3_600_000;
      rig.clock.wall = back + 17_000;
      rig.record(lateMs / 1_000);
      rig.trust = 'ntp';
      renew(rig);
      rig.record(15);
      // Maintenance clears away what belongs to nothing.
      rig.clock.pass(61_000);
      rig.ring.tick();
      rig.end('a.main');
      const { spans, gaps } = rig.ring.coverage('a.main', start, back + 32_000);
      expect(spans.map((s) => [s.fromMs - start, s.toMs - start])).toEqual([
        [0, 15_000],
        [3_602_000, 3_632_000],
      ]);
      expect(
        gaps.map((gap) => ({ ...gap })),
        how,
      ).toEqual([{ fromMs: start + 15_000, toMs: back + 2_000, reason }]);
      rig.remove();
    }
  }
});

test('a correction that comes while the index is being checked is no damage of it', () => {
  const rig = new Rig({ segmentMs: 1_000 }).open();
  rig.trust = 'none';
  rig.clock.wall = 40_000;
  rig.begin('a.main');
  rig.record(60);
  rig.end('a.main');
  rig.restart();
  // Some of the rows are checked with each tick.
  rig.ring.tick();
  rig.clock.wall += Date.UTC(2026, 10, 23);
  rig.trust = 'ntp';
  for (let i = 0; i < 20; i++) {
    rig.clock.pass(250);
    rig.ring.tick();
  }
  expect(rig.ring.status().state).toBe('ok');
  expect(filesBelow(rig.directory).filter((path) => path.includes('damaged'))).toEqual([]);
  rig.remove();
});
