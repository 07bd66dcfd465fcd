import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import type { MotionEvent } from '../../src/contract/motion.js';
import { MotionFlow } from '../../src/motion-flow.js';
import { decodeSettings } from '../../src/settings/load.js';
import type { Store } from '../../src/store/client.js';
import { store } from '../center/rig.js';

const START = Date.parse('2026-05-01T10:00:00.000Z');
const event: MotionEvent = {
  id: '01HQ0000000000000000000001',
  camera: 'north',
  phase: 'start',
  start: '2026-05-01T10:00:00.000Z',
  decidedAt: '2026-05-01T10:00:00.200Z',
  end: null,
  score: 1,
  reason: 'zone',
};

function flow(clock: FakeClock, tables: Store): { flow: MotionFlow; sent: MotionEvent[]; marks: unknown[] } {
  const sent: MotionEvent[] = [];
  const marks: unknown[] = [];
  const settings = decodeSettings('[motion]\npre_roll = "5s"\npost_roll = "10s"\n', 'test');
  const made = new MotionFlow({
    clock,
    settings,
    store: tables,
    markMotion: (ask) => Promise.resolve(void marks.push(ask)),
    send: (one) => Promise.resolve(void sent.push(one)),
    onEvent: () => undefined,
  });
  return { flow: made, sent, marks };
}

test('an event that a power cut left open ends when the agent was last alive, not when power came back', async () => {
  const state = store();
  const tables = state.calls as Store;
  const clock = new FakeClock(START);
  const before = flow(clock, tables);
  await before.flow.start();
  await before.flow.take(event);
  await clock.advance(35_000);
  before.flow.stop();
  expect(before.sent).toEqual([event]);

  await clock.advance(8 * 3_600_000);
  const after = flow(clock, tables);
  await after.flow.start();
  expect(after.sent).toMatchObject([{ id: event.id, phase: 'end', end: '2026-05-01T10:00:40.000Z' }]);
  expect(after.marks).toEqual([{ camera: 'north', fromMs: START - 5_000, toMs: START + 50_000 }]);
  after.flow.stop();
  state.close();
});

test('what the store does not take in time still goes to the center', async () => {
  const state = store();
  const late = new Error('the store did not answer');
  const tables = { ...state.calls, motion: { save: () => Promise.reject(late) } } as unknown as Store;
  const { flow: made, sent } = flow(new FakeClock(START), tables);
  await expect(made.take(event)).rejects.toBe(late);
  expect(sent).toEqual([event]);
  state.close();
});
