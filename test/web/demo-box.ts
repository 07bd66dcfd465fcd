import { existsSync } from 'node:fs';
import { toUtc } from '../../src/contract/primitives.js';
import { FakeBox, type FakeCamera } from './fake-box.js';
import { makeLoop, type Loop } from './media.js';

const MINUTE = 60_000;

/** A store with four cameras, one of them broken, as it might look on a Tuesday. `videos`: pictures for it, if there are any. */
export function demoBox(videos: string[] = []): FakeBox {
  const now = Date.now();
  const names = ['Front door', 'Parking lot', 'Counter', 'Back alley'];
  const loops = new Map<string, { main: Loop; sub: Loop }>();
  const loopsOf = (source: string | undefined): { main: Loop; sub: Loop } => {
    const known = loops.get(source ?? '') ?? {
      main: makeLoop({ width: 1280, height: 720, seconds: 10, source }),
      sub: makeLoop({ width: 640, height: 360, seconds: 10, source }),
    };
    loops.set(source ?? '', known);
    return known;
  };
  const cams = names.map((name, i): FakeCamera => {
    const path = videos[i];
    const source = path !== undefined && existsSync(path) ? path : undefined;
    const online = i !== 3;
    const spans = [
      { fromMs: now - 26 * 60 * MINUTE, toMs: now - (300 + i * 40) * MINUTE },
      { fromMs: now - (288 + i * 40) * MINUTE, toMs: now - (34 + i * 9) * MINUTE },
      { fromMs: now - (31 + i * 8) * MINUTE, toMs: online ? now : now - 14 * MINUTE },
    ];
    const motion = Array.from({ length: 70 }, (_, n) => {
      const start = now - ((n * 7 + i * 5 + (n % 5) * 3) % 1400) * MINUTE - ((n * 13_000) % MINUTE);
      const length = 8_000 + ((n * 7919) % 60_000);
      return {
        id: `01KBM${i}${String(n).padStart(20, '0')}`,
        camera: `cam-${i + 1}`,
        phase: 'end' as const,
        start: toUtc(start),
        decidedAt: toUtc(start + 600),
        end: toUtc(start + length),
        score: 0.8,
        reason: 'something moved',
      };
    }).sort((a, b) => (a.start < b.start ? -1 : 1));
    return {
      id: `cam-${i + 1}`,
      name,
      ...loopsOf(source),
      spans,
      gapReason: i === 3 ? 'camera_offline' : 'stream_stalled',
      motion,
      online,
    };
  });
  const box = new FakeBox(cams);
  const states = ['uploading', 'queued', 'delivered', 'delivered', 'withheld', 'local', 'failed'] as const;
  box.clipList.push(
    ...states.map((state, n) => ({
      id: `01KBC${n}00000000000000000000`,
      camera: cams[n % 4]!.id,
      from: toUtc(now - (n * 23 + 4) * MINUTE),
      to: toUtc(now - (n * 23 + 4) * MINUTE + 38_000),
      rendition: 'original' as const,
      priority: 'auto' as const,
      state,
      detail:
        state === 'withheld'
          ? 'Your terms do not share this camera at this hour.'
          : state === 'failed'
            ? 'The footage was overwritten before it was sent.'
            : '',
      motionEvent: n === 5 ? null : `01KBM0${String(n).padStart(20, '0')}`,
      bytes: 9_400_000 + n * 1_200_000,
      sentBytes: state === 'uploading' ? 5_800_000 : 0,
      sha256: null,
      createdAt: toUtc(now - (n * 23 + 3) * MINUTE),
      deliveredAt: state === 'delivered' ? toUtc(now - n * 22 * MINUTE) : null,
    })),
  );
  const looks = [
    ['live', 'granted', 'Officer 4711, JPD', 'page', 'cam-2', null],
    ['clip', 'refused', 'Officer 0815, JPD', 'mqtt', 'cam-3', 'OUTSIDE_HOURS'],
    ['playback', 'granted', 'Store owner', 'page', 'cam-1', null],
    ['clip', 'done', 'bluelight', 'auto', 'cam-1', null],
  ] as const;
  box.auditList.push(
    ...looks.map(([kind, outcome, party, door, camera, code], n) => ({
      seq: 100 - n,
      id: `01KBA${n}00000000000000000000`,
      at: toUtc(now - n * 17 * MINUTE - 3 * MINUTE),
      kind,
      outcome,
      party: party.split(', ')[0]!,
      agency: party.split(', ')[1] ?? null,
      role: null,
      door,
      camera,
      from: null,
      to: null,
      code,
      reason: n === 0 ? 'robbery reported at 5th and Main' : n === 1 ? 'case 26-1123' : 'own use',
      case: n === 1 ? 'C-26-1123' : null,
      bytes: null,
      ref: null,
      words: `${party}: ${kind} ${outcome}`,
      link: '0'.repeat(64),
    })),
  );
  return box;
}
