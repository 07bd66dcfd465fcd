import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { CHECKPOINT_TYPE, type Checkpoint, type Envelope } from '../../src/contract/evidence.js';
import { canonicalBytes } from '../../src/proof/canonical.js';
import { GENESIS } from '../../src/proof/chain.js';
import { signEnvelope } from '../../src/proof/dsse.js';
import { CenterDb } from '../../src/sim/center/db.js';
import { Proofs } from '../../src/sim/center/proofs.js';
import { newSigner, tempDir } from '../center/rig.js';

const signer = newSigner();
const link = (n: number): string => createHash('sha256').update(String(n)).digest('hex');

let db: CenterDb;
let proofs: Proofs;

beforeEach(() => {
  db = new CenterDb(join(tempDir(), 'c.db'));
  db.saveBox('north', 'box-1', { key: signer.keyId });
  proofs = new Proofs({
    clock: new FakeClock(),
    db,
    keysOf: (site, box) => [db.box(site, box)?.key ?? ''],
    onAnchor: () => undefined,
  });
});
afterEach(() => db.close());

/** A row of checkpoints, each behind the one before. */
function row(heads: Checkpoint['heads'][], more: Partial<Checkpoint> = {}): Envelope[] {
  let prev = GENESIS;
  return heads.map((head, i) => {
    const document: Checkpoint = {
      ...{ v: 1, site: 'north', box: 'box-1', disk: 'disk-1', n: i + 1, prev, at: '2026-11-23T14:05:00.000Z' },
      ...{ clock: 'ntp', heads: head, audit: null, ...more },
    };
    const payload = canonicalBytes(document);
    prev = createHash('sha256').update(payload).digest('hex');
    return signEnvelope(CHECKPOINT_TYPE, payload, signer);
  });
}

const head = (seq: number, what = seq): Checkpoint['heads'] => ({ 'door.main': { seq, link: link(what) } });
const take = (envelopes: readonly Envelope[]): (string | null)[] =>
  envelopes.map((one) => proofs.takeCheckpoint('north', 'box-1', one).problem);

test('checkpoints that follow each other are kept, twice the same is once', () => {
  const all = row([head(1), head(30), head(60)]);
  expect(take(all)).toEqual([null, null, null]);
  expect(take(all)).toEqual([null, null, null]);
  expect(db.checkpoints('north', 'box-1', 10).map((one) => one.n)).toEqual([3, 2, 1]);
  expect(db.checkpoints('north', 'box-1', 10)[0]!.envelope).toEqual(all[2]);
});

test('a box that leaves one out, tells another story or shortens a chain is found', () => {
  const [first, , third] = row([head(1), head(30), head(60)]);
  expect(take([first!, third!])).toEqual([null, 'numbers 2 to 2 are missing']);
  // With its key the past can be made anew; but the center has the old one.
  const [, rewritten] = row([head(1, 99), head(30)]);
  db.close();
  db = new CenterDb(join(tempDir(), 'c.db'));
  db.saveBox('north', 'box-1', { key: signer.keyId });
  proofs = new Proofs({
    clock: new FakeClock(),
    db,
    keysOf: (site, box) => [db.box(site, box)?.key ?? ''],
    onAnchor: () => undefined,
  });
  expect(take([first!, rewritten!])).toEqual([null, expect.stringContaining('rewritten')]);
  expect(take(row([head(1, 99)]))).toEqual([expect.stringContaining('two stories')]);
  expect(take(row([head(30), head(10)], { disk: 'disk-2' }))).toEqual([null, expect.stringContaining('shorter')]);
  expect(take(row([head(30), head(30, 31)], { disk: 'disk-3' }))).toEqual([null, expect.stringContaining('rewritten')]);
});

test('another disk begins anew; another key, another box and an edited one are refused', () => {
  expect(take(row([head(500)]))).toEqual([null]);
  expect(take(row([head(1), head(2)], { disk: 'disk-2' }))).toEqual([null, null]);
  const [foreign] = row([head(1)], { box: 'box-2' });
  expect(() => take([foreign!])).toThrow(/came from/);
  const [good] = row([head(501)]);
  const stranger = signEnvelope(CHECKPOINT_TYPE, Buffer.from(good!.payload, 'base64'), newSigner());
  expect(() => take([stranger])).toThrow(/not trusted/);
  const edited = Buffer.from(Buffer.from(good!.payload, 'base64').toString().replace('"n":1', '"n":2'));
  expect(() => take([{ ...good!, payload: edited.toString('base64') }])).toThrow(/does not fit/);
  expect(db.checkpoints('north', 'box-1', 10)).toHaveLength(3);
});
