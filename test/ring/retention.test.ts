import fc from 'fast-check';
import { readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { PRUNE_TYPE } from '../../src/contract/evidence.js';
import { canonicalBytes } from '../../src/proof/canonical.js';
import { preAuthEncoding } from '../../src/proof/dsse.js';
import { publicKeyFromText, signerFromKey, verifyEd25519 } from '../../src/proof/keys.js';
import { realDiskIo } from '../../src/ring/disk-io.js';
import type { EntryOf, JournalEntry } from '../../src/ring/journal-entry.js';
import { planRetention, planThinning, type Candidate, type StreamStock } from '../../src/ring/retention.js';
import { checkClosed, filesBelow, limits, Rig, WIDE } from './support/rig.js';

const DAY = 86_400_000;

function candidate(some: Partial<Candidate> & { seq: number }): Candidate {
  const startMs = some.startMs ?? some.seq * 10_000;
  return {
    ordinal: some.seq,
    storedBytes: 100,
    durationMs: 10_000,
    startMs,
    endMs: startMs + 10_000,
    trusted: true,
    motion: false,
    protected: false,
    ...some,
  };
}

function stock(stream: string, candidates: Candidate[]): StreamStock {
  const [camera = '', role] = stream.split('.');
  return {
    stream,
    camera,
    role: role === 'sub' ? 'sub' : 'main',
    durationMs: candidates.reduce((sum, c) => sum + c.durationMs, 0),
    candidates,
    complete: true,
  };
}

const seqs = (plan: ReturnType<typeof planRetention>): string[] => plan.evict.map((e) => `${e.stream} ${e.seq}`);
const need = (needBytes: number, trustedMs: number | null = null) => ({ needBytes, trustedMs, snapshotSeen: true });

describe('planRetention', () => {
  test('the oldest by order of recording go first, over all streams, whatever their wall clock says', () => {
    const a = stock('a.main', [candidate({ seq: 1, ordinal: 1, startMs: 9e12 }), candidate({ seq: 2, ordinal: 4 })]);
    const b = stock('b.main', [candidate({ seq: 1, ordinal: 2, startMs: 0 }), candidate({ seq: 2, ordinal: 3 })]);
    expect(seqs(planRetention([a, b], WIDE, need(250)))).toEqual(['a.main 1', 'b.main 1', 'b.main 2']);
  });

  test('until it is known what is held nothing goes, neither for space nor for age', () => {
    const a = stock('a.main', [candidate({ seq: 1 })]);
    const plan = planRetention([a], limits({ keepMs: 1 }), { needBytes: 100, trustedMs: 9e12, snapshotSeen: false });
    expect(plan).toMatchObject({ evict: [], shortBytes: 100 });
  });

  test('what is held or leased stays, even when that means that there is no room', () => {
    const a = stock(
      'a.main',
      [1, 2, 3].map((seq) => candidate({ seq, protected: seq !== 2 })),
    );
    const plan = planRetention([a], limits({ keepMs: 1, maximumMs: { a: 1 } }), need(1000, 9e12));
    expect(seqs(plan)).toEqual(['a.main 2']);
    expect(plan.shortBytes).toBe(900);
  });

  test('a stream at its floor is left alone while another has more', () => {
    const a = stock(
      'a.main',
      [1, 2].map((seq) => candidate({ seq, ordinal: seq })),
    );
    const b = stock(
      'b.main',
      [1, 2, 3, 4].map((seq) => candidate({ seq, ordinal: seq + 10 })),
    );
    expect(seqs(planRetention([a, b], limits({ floorMs: 20_000 }), need(200)))).toEqual(['b.main 1', 'b.main 2']);
  });

  test('floors that the disk cannot hold shrink together, and the plan says so', () => {
    const a = stock(
      'a.main',
      [1, 2].map((seq) => candidate({ seq, ordinal: seq * 2 })),
    );
    const b = stock(
      'b.main',
      [1, 2].map((seq) => candidate({ seq, ordinal: seq * 2 + 1 })),
    );
    const plan = planRetention([a, b], limits({ floorMs: 20_000 }), need(200));
    expect(seqs(plan)).toEqual(['a.main 1', 'b.main 1']);
    expect(plan.floorShare).toBe(0.5);
  });

  test('tiers: originals without motion after D1, everything after D2, the legal maximum per camera', () => {
    const of = (role: string): StreamStock =>
      stock(
        `a.${role}`,
        [40, 20, 8, 1].map((days, i) => candidate({ seq: i + 1, startMs: 100 * DAY - days * DAY, motion: i === 1 })),
      );
    const thinned = planThinning(of('main'), 7 * DAY, 100 * DAY);
    expect({ seqs: thinned.evict.map((e) => e.seq), to: thinned.lookedTo }).toEqual({ seqs: [1, 3], to: 3 });
    const rules = limits({ keepMs: 30 * DAY });
    const now = need(0, 100 * DAY);
    expect(seqs(planRetention([of('main'), of('sub')], rules, now))).toEqual(['a.main 1', 'a.sub 1']);
    const maximum = limits({ ...rules, maximumMs: { a: 5 * DAY } });
    expect(planRetention([of('sub')], maximum, now).evict.map((e) => e.why)).toEqual(['maximum', 'maximum', 'maximum']);
  });

  test('thinning stops at what is young or has no known age, and steps over what is held', () => {
    const one = stock('a.main', [
      candidate({ seq: 1, startMs: 0, protected: true }),
      candidate({ seq: 2, startMs: DAY, trusted: false }),
      candidate({ seq: 3, startMs: 2 * DAY }),
      candidate({ seq: 4, startMs: 0, trusted: false }),
    ]);
    const plan = planThinning(one, 7 * DAY, 20 * DAY);
    expect({ seqs: plan.evict.map((e) => e.seq), to: plan.lookedTo }).toEqual({ seqs: [2, 3], to: 3 });
    const bounded = planThinning({ ...one, nextTrustedMs: 3 * DAY }, 7 * DAY, 20 * DAY);
    expect({ seqs: bounded.evict.map((e) => e.seq), to: bounded.lookedTo }).toEqual({ seqs: [2, 3, 4], to: 4 });
  });

  test('age needs trusted time: none now, none then, or one that lies between trusted neighbours', () => {
    const rules = limits({ keepMs: 10 * DAY });
    const untrusted = stock(
      'a.main',
      [1, 2].map((seq) => candidate({ seq, startMs: 0, trusted: false })),
    );
    expect(seqs(planRetention([untrusted], rules, need(0, 100 * DAY)))).toEqual([]);
    expect(seqs(planRetention([untrusted], rules, need(0, null)))).toEqual([]);
    const between = stock('a.main', [
      candidate({ seq: 1, startMs: 99 * DAY, trusted: false }),
      candidate({ seq: 2, startMs: 50 * DAY }),
      candidate({ seq: 3, startMs: 0, trusted: false }),
      candidate({ seq: 4, startMs: 99 * DAY }),
    ]);
    expect(seqs(planRetention([between], rules, need(0, 100 * DAY)))).toEqual(['a.main 1', 'a.main 2']);
  });

  test('for any stock: never more than needed, never a protected one, oldest first within each stream', () => {
    const segment = fc.record({ bytes: fc.integer({ min: 1, max: 50 }), held: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(fc.array(segment, { maxLength: 12 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 1500 }),
        fc.integer({ min: 0, max: 8 }),
        (streams, needBytes, floor) => {
          let ordinal = 0;
          const stocks = streams.map((list, i) =>
            stock(
              `c${i}.main`,
              list.map((s, j) =>
                candidate({ seq: j + 1, ordinal: ordinal++, storedBytes: s.bytes, protected: s.held }),
              ),
            ),
          );
          const plan = planRetention(stocks, limits({ floorMs: floor * 10_000 }), need(needBytes));
          const free = stocks.flatMap((s) => s.candidates.filter((c) => !c.protected).map((c) => c.storedBytes));
          const all = free.reduce((a, b) => a + b, 0);
          expect(plan.freedBytes >= Math.min(needBytes, all)).toBe(true);
          expect(plan.shortBytes).toBe(Math.max(0, needBytes - plan.freedBytes));
          if (plan.evict.length > 0) {
            expect(plan.freedBytes - plan.evict.at(-1)!.storedBytes < needBytes).toBe(true);
          }
          for (const s of stocks) {
            const gone = plan.evict.filter((e) => e.stream === s.stream).map((e) => e.seq);
            const oldest = s.candidates.filter((c) => !c.protected).map((c) => c.seq);
            expect(gone).toEqual(oldest.slice(0, gone.length));
            const left = s.durationMs - gone.length * 10_000;
            if (gone.length > 0) expect(left >= floor * 10_000 * plan.floorShare).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

let rig: Rig;
afterEach(() => (rig as Rig | undefined)?.remove());

const entries = (): JournalEntry[] => {
  const journal = rig.journal();
  return journal.numbers().flatMap((n) => [...journal.lines(n)].map((line) => line.entry));
};

test('the quota is never exceeded: room is made before bytes are written, files and rows go together', () => {
  const quotaBytes = 6e6;
  rig = new Rig({ limits: limits({ quotaBytes }), journalFileBytes: 20_000 }).open();
  rig.ring.setProtections([]);
  const start = rig.clock.wall;
  rig.begin('a.main');
  rig.begin('b.main');
  for (let i = 0; i < 60; i++) {
    rig.record(10);
    expect(rig.ring.status().usedBytes).toBeLessThanOrEqual(quotaBytes);
  }
  rig.end('a.main');
  rig.end('b.main');
  const rows = checkClosed(rig, ['a.main', 'b.main']);
  expect(rows).toBe(rig.files().length);
  expect(rows).toBeLessThan(100);
  const [a, b] = rig.ring.status().streams;
  expect(Math.abs(a!.segments - b!.segments)).toBeLessThanOrEqual(1);
  const answer = rig.ring.coverage('a.main', start, rig.clock.wall);
  expect(answer.gaps).toEqual([{ fromMs: start, toMs: a!.oldestMs, reason: 'overwritten' }]);
  expect(answer.spans).toHaveLength(1);
});

test('nothing closed is evicted before the first snapshot of holds, and recording overruns the quota for that long', () => {
  rig = new Rig({ limits: limits({ quotaBytes: 7e6 }) }).open();
  rig.begin('a.main');
  rig.record(600);
  expect(rig.files()).toHaveLength(60);
  expect(rig.ring.status()).toMatchObject({ state: 'ok', evicting: 'waiting_for_holds' });
  rig.ring.setProtections([]);
  rig.record(1);
  expect(rig.files().length).toBeLessThan(60);
  expect(rig.ring.status().usedBytes).toBeLessThanOrEqual(7e6);
});

test('a hold beats space: it stays whole, also where it reaches into the future, and the newest is not recorded, loudly', () => {
  rig = new Rig({ limits: limits({ quotaBytes: 8e6 }) }).open();
  rig.ring.setProtections([]);
  const start = rig.clock.wall;
  rig.begin('a.main');
  rig.record(30);
  const held = { id: 'h', kind: 'hold' as const, camera: 'a', fromMs: start + 12_000, toMs: start + 95_000 };
  rig.ring.setProtections([held]);
  rig.record(700);
  const kept = rig.ring.plan('a.main', 0, 4e12).files.flatMap((f) => f.segments.map((s) => s.seq));
  expect(kept.slice(0, 9)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(kept[9]).toBeGreaterThan(20);
  rig.ring.setProtections([{ ...held, fromMs: 0, toMs: 4e12 }]);
  rig.record(700);
  expect(rig.ring.status()).toMatchObject({ state: 'full', evicting: 'nothing_left' });
  expect(rig.ring.status().streams[0]).toMatchObject({ recording: false, openGap: 'disk_full' });
  rig.ring.setProtections([]);
  rig.record(3);
  expect(rig.ring.status()).toMatchObject({ state: 'ok', evicting: 'possible' });
  expect(rig.ring.status().streams[0]).toMatchObject({ recording: true, openGap: null });
  checkClosed(rig, ['a.main']);
});

test('foreign data on the disk: the ring shrinks to leave the reserve', () => {
  let foreign = 0;
  rig = new Rig({
    limits: limits({ reserveBytes: 1e6 }),
    freeBytes: () => 8e6 - foreign - rig.files().reduce((sum, path) => sum + readFileSync(path).length, 0),
  });
  rig.open();
  rig.ring.setProtections([]);
  rig.begin('a.main');
  rig.record(100);
  const before = rig.files().length;
  foreign = 6.2e6;
  rig.record(10);
  expect(rig.files().length).toBeLessThan(before);
  expect(rig.ring.status().state).toBe('ok');
  expect(rig.ring.status().freeBytes).toBeGreaterThanOrEqual(1e6);
});

test('originals without motion go after the first tier, also behind many with motion and once a hold on them ends', () => {
  const MINUTE = 60_000;
  const rules = limits({ originalsMs: 30 * MINUTE, keepMs: 120 * MINUTE });
  rig = new Rig({ limits: rules }).open();
  rig.ring.setProtections([]);
  const start = rig.clock.wall;
  rig.begin('a.main');
  rig.begin('a.sub');
  // More segments with motion than one look takes in.
  for (let i = 0; i < 10; i++) {
    rig.record(300);
    rig.ring.markMotion('a', rig.clock.wall - 299_000, rig.clock.wall - 1_000);
  }
  const held = { id: 'h', kind: 'hold' as const, camera: 'a', fromMs: start + 3_120_000, toMs: start + 3_140_000 };
  rig.record(300);
  rig.ring.setProtections([held]);
  rig.end('a.main');
  rig.end('a.sub');
  const age = (minutes: number): void => {
    for (let i = 0; i < minutes; i++) {
      rig.clock.pass(MINUTE);
      rig.ring.tick();
    }
  };
  const kept = (stream: string): number[] =>
    rig.ring.plan(stream, 0, 4e12).files.flatMap((f) => f.segments.map((s) => s.seq));
  age(40);
  const motion = Array.from({ length: 300 }, (_, i) => i + 1);
  expect(kept('a.main')).toEqual([...motion, 313, 314]);
  expect(kept('a.sub')).toHaveLength(330);
  rig.ring.setProtections([]);
  age(2);
  expect(kept('a.main')).toEqual(motion);
  expect(rig.ring.coverage('a.main', start, rig.clock.wall).gaps[0]).toMatchObject({ reason: 'overwritten' });
  age(140);
  expect([kept('a.main'), kept('a.sub')]).toEqual([[], []]);
});

test('the legal maximum is kept also when thousands of segments lack a trusted time', () => {
  const MINUTE = 60_000;
  rig = new Rig({ limits: limits({ maximumMs: { a: 60 * MINUTE } }) }).open();
  rig.trust = 'rtc';
  rig.ring.setProtections([]);
  rig.begin('a.main');
  rig.record(1_500);
  // Another boot: what this one said of its time stays doubtful for ever.
  rig.restart({ bootId: 'boot-2' });
  rig.ring.setProtections([]);
  rig.trust = 'ntp';
  rig.begin('a.main');
  rig.record(60);
  rig.end('a.main');
  for (let i = 0; i < 70; i++) {
    rig.clock.pass(MINUTE);
    rig.ring.tick();
  }
  expect(rig.files()).toHaveLength(0);
});

test('every deletion leaves a signed record from which the chain goes on, checkable without the agent', () => {
  const signer = signerFromKey(generateKeyPairSync('ed25519').privateKey);
  rig = new Rig({ limits: limits({ quotaBytes: 7e6 }), signer }).open();
  rig.ring.setProtections([]);
  rig.begin('a.main');
  rig.record(600);
  const prunes = entries().filter((e): e is EntryOf<'prune'> => e.k === 'prune');
  expect(prunes.length).toBeGreaterThan(0);
  let next = 1;
  for (const { record, signatures } of prunes) {
    expect(record).toMatchObject({ stream: 'a.main', fromSeq: next, why: 'ring' });
    next = record.toSeq + 1;
    const [signature] = signatures;
    const bytes = preAuthEncoding(PRUNE_TYPE, canonicalBytes(record));
    expect(verifyEd25519(publicKeyFromText(signature!.keyid), bytes, Buffer.from(signature!.sig, 'base64'))).toBe(true);
  }
  const first = rig.ring.plan('a.main', 0, 4e12).files[0]!.segments[0]!;
  expect(first.seq).toBe(next);
  expect(first.record.prev).toBe(prunes.at(-1)!.record.linkAtTo);
});

test('a kill between the prune record and the unlink is finished at the next start', () => {
  rig = new Rig({ limits: WIDE }).open();
  rig.ring.setProtections([]);
  rig.begin('a.main');
  rig.record(60);
  rig.ring.dropHandles();
  const dying = new Rig({ limits: limits({ quotaBytes: 1e5 }) }, rig.directory);
  const real = rig.files();
  let unlinks = 0;
  dying.ring = dying.make({
    io: {
      ...realDiskIo,
      unlink(path) {
        if (++unlinks > 2) throw new Killed();
        realDiskIo.unlink(path);
      },
    },
  });
  dying.ring.open();
  expect(() => {
    dying.ring.setProtections([]);
    dying.record(2);
  }).toThrow(Killed);
  dying.ring.dropHandles();
  expect(rig.files().length).toBe(real.length - 2);
  rig.crash();
  expect(rig.files().length).toBe(checkClosed(rig, ['a.main']));
  expect(rig.files().length).toBeLessThan(real.length - 2);
});

class Killed extends Error {}

test('journal files whose segments are gone are removed; what a hold still needs is carried over', () => {
  rig = new Rig({ limits: limits({ quotaBytes: 4e6 }), journalFileBytes: 8_000 }).open();
  const start = rig.clock.wall;
  rig.begin('a.main');
  rig.record(30);
  rig.ring.markMotion('a', start, start + 15_000);
  rig.ring.setProtections([{ id: 'h', kind: 'hold', camera: 'a', fromMs: start, toMs: start + 25_000 }]);
  rig.record(1_500);
  expect(readdirSync(join(rig.directory, 'journal')).length).toBeLessThan(8);
  rig.end('a.main');
  const heads = rig.ring.heads();
  const files = rig.ring.plan('a.main', 0, 4e12).files;
  rig.ring.close();
  dropIndex(rig);
  while (rig.ring.rebuildStep());
  expect(rig.ring.heads()).toEqual(heads);
  expect(rig.ring.plan('a.main', 0, 4e12).files).toEqual(files);
  expect(files[0]!.segments.map((s) => [s.seq, s.motion])).toEqual([
    [1, true],
    [2, true],
    [3, false],
  ]);
});

function dropIndex(one: Rig): void {
  rmSync(join(one.directory, 'ring.db'));
  one.crash();
}

test('room is made before bytes are written, also for a fragment that is larger than any slack', () => {
  rig = new Rig({ limits: limits({ quotaBytes: 40e6 }) }).open();
  rig.ring.setProtections([]);
  const source = rig.begin('a.main');
  for (let i = 0; i < 60; i++) {
    rig.clock.pass(500);
    rig.ring.appendFragment('a.main', source.run.run, { ...source.next(), bytes: new Uint8Array(1_900_000) });
    const bytes = filesBelow(rig.directory).reduce((sum, path) => sum + statSync(path).size, 0);
    expect(bytes, `after fragment ${i}`).toBeLessThanOrEqual(40e6);
    rig.ring.tick();
  }
});
