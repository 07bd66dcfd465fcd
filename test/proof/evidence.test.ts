import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seeded, type Random } from '../../scripts/lib/random.js';
import type { SignedManifest } from '../../src/contract/clip.js';
import { verifyClip } from '../../src/proof/verify.js';
import { EvidenceBox, newSigner, writeDelivered, type Delivered } from './delivered.js';

/** docs/evidence.md is enough: its own commands, and a verifier that was written from it, say what ours says. */
const page = readFileSync(fileURLToPath(new URL('../../docs/evidence.md', import.meta.url)), 'utf8');
const python = fileURLToPath(new URL('verifier.py', import.meta.url));
const blocks = [...page.matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1]!);

const dir = mkdtempSync(join(tmpdir(), 'evidence-'));
const box = new EvidenceBox({ segmentMs: 2_000 });
let early: Delivered;
let clean: Delivered;
let gapped: Delivered;

beforeAll(async () => {
  box.record(13);
  early = await box.deliver(3, 9);
  box.gap(20).record(9).checkpoint();
  clean = await box.deliver(3, 9);
  gapped = await box.deliver(9, 37);
});

afterAll(() => {
  box.remove();
  rmSync(dir, { recursive: true });
});

/** Runs blocks of the page as they stand there, in a directory of their own. */
function runPage(which: readonly number[], clip: string, key = box.signer.keyId): { code: number | null; out: string } {
  const work = mkdtempSync(join(dir, 'work-'));
  writeFileSync(join(work, 'check.sh'), which.map((i) => blocks[i]!).join('\n'));
  const { status, stdout } = spawnSync('sh', ['check.sh', clip, key], { cwd: work, encoding: 'utf8' });
  return { code: status, out: stdout.trim() };
}

const ALL = [0, 1, 2, 4, 5];
const lastLine = (out: string): string => out.split('\n').at(-1)!;

test('the commands of the page prove a clip, with its anchor within, beside, and without one', () => {
  const within = runPage(ALL, writeDelivered(dir, 'within', clean));
  expect(within.out).toContain('Signature Verified Successfully');
  expect(within.out).toContain('within.mp4: OK');
  expect(within).toMatchObject({ code: 0, out: expect.stringMatching(/records agree\n.*Successfully\nauthentic$/) });
  const beside = runPage(ALL, writeDelivered(dir, 'beside', early, box.anchor(early)));
  expect(beside).toMatchObject({ code: 0, out: expect.stringMatching(/Successfully\nauthentic$/) });
  const without = runPage(ALL, writeDelivered(dir, 'without', early));
  expect(without.code).toBe(0);
  expect(lastLine(without.out)).toBe('authentic, completeness not proven: no checkpoint has come yet');
});

test('the commands of the page find a changed file and name the segment, a foreign key, a broken chain', () => {
  const changed = Buffer.from(clean.bytes);
  const second = clean.manifest.segments[1]!;
  changed[second.offset + 100]! ^= 1;
  const path = writeDelivered(dir, 'changed', { ...clean, bytes: changed });
  expect(runPage(ALL, path).code).not.toBe(0);
  const seconds = runPage([0, 1, 3], path).out.split('\n').slice(1);
  expect(seconds.map((line) => line.split(/ +/).slice(1))).toEqual(
    clean.manifest.segments.map((s) => [String(s.seq), s.from, s === second ? 'CHANGED' : 'untouched']),
  );
  expect(runPage(ALL, writeDelivered(dir, 'key', clean), newSigner().keyId).code).not.toBe(0);
  const anchor = box.anchor(early);
  const [, ...records] = anchor.records;
  expect(runPage(ALL, writeDelivered(dir, 'hole', early, { ...anchor, records }))).toMatchObject({
    code: 1,
    out: expect.stringContaining('CHAIN BROKEN'),
  });
});

/** The verdict of `bluelight verify`, from the files. */
async function ours(path: string): Promise<string> {
  const bytes = readFileSync(path);
  const beside = path.replace(/\.mp4$/, '');
  const report = await verifyClip({
    file: { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) },
    signed: text(`${beside}.manifest.json`),
    anchor: text(`${beside}.anchor.json`),
    trusted: [box.signer.keyId],
  });
  return report.verdict;
}

function text(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function theirs(paths: readonly string[]): string[] {
  const { stdout, stderr } = spawnSync('/usr/bin/python3', [python, box.signer.keyId, ...paths], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.trim().split('\n');
}

test('a verifier written from the page agrees with ours: clean, gapped, early, foreign', async () => {
  const stranger = structuredClone(clean);
  stranger.signed.signatures[0]!.keyid = newSigner().keyId;
  const foreign = new EvidenceBox({ segmentMs: 2_000 });
  foreign.record(9).checkpoint();
  const cases: [string, string][] = [
    [writeDelivered(dir, 'clean', clean), 'authentic'],
    [writeDelivered(dir, 'gapped', gapped), 'authentic'],
    [writeDelivered(dir, 'early', early), 'authentic_completeness_not_proven'],
    [writeDelivered(dir, 'anchored', early, box.anchor(early)), 'authentic'],
    [writeDelivered(dir, 'other-anchor', gapped, box.anchor(early)), 'tampered'],
    [writeDelivered(dir, 'stranger', stranger), 'tampered'],
    [writeDelivered(dir, 'foreign', await foreign.deliver(1, 5)), 'cannot_tell'],
  ];
  foreign.remove();
  expect(gapped.manifest.gaps.map((gap) => gap.reason)).toEqual(['camera_offline']);
  expect(await Promise.all(cases.map(([path]) => ours(path)))).toEqual(cases.map(([, verdict]) => verdict));
  const answers = theirs(cases.map(([path]) => path));
  expect(answers.map((answer) => answer.split(':')[0])).toEqual(cases.map(([, verdict]) => verdict));
});

test('a verifier written from the page agrees with ours on changes anywhere in the three files', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  const random = seeded(seed);
  const paths = Array.from({ length: 60 }, (_, i) => {
    mkdirSync(join(dir, 'mutants'), { recursive: true });
    const path = writeDelivered(join(dir, 'mutants'), `m${i}`, early, box.anchor(early));
    change(random, path.replace(/mp4$/, random.pick(['mp4', 'manifest.json', 'anchor.json'])));
    return path;
  });
  const mine = await Promise.all(paths.map(ours));
  const answers = theirs(paths).map((answer) => answer.split(':')[0]);
  paths.forEach((path, i) => expect([path, answers[i]]).toEqual([path, mine[i]]));
  // Nothing of this passes for what the box delivered.
  expect(mine.filter((verdict) => verdict === 'authentic')).toEqual([]);
});

/** Another byte, one more, one less, a piece cut out or doubled; digits in the signed text become others. */
function change(random: Random, path: string): void {
  const bytes = readFileSync(path);
  const at = random.below(bytes.length - 1);
  const other = Buffer.from([(bytes[at]! + 1 + random.below(255)) & 255]);
  const some = bytes.subarray(at, at + 1 + random.below(40));
  const rest = (n: number): Buffer => bytes.subarray(at + n);
  const start = bytes.subarray(0, at);
  const pieces = [
    [start, other, rest(1)],
    [start, other, rest(0)],
    [start, rest(1)],
    [start, rest(some.length)],
    [start, some, rest(0)],
  ];
  const changed = Buffer.concat(random.pick(pieces));
  writeFileSync(path, changed.equals(bytes) ? signedDigit(random, bytes) : changed);
}

function signedDigit(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from('0'), bytes.subarray(at)]);
}

test('what the signed text says cannot be edited: every number and every word of the payload', async () => {
  const payload = Buffer.from(early.signed.payload, 'base64').toString();
  const marks = [...payload.matchAll(/(?<=[:"])[^",:{}[\]]+/g)].filter((_, i) => i % 7 === 0);
  const paths = marks.map((mark, i) => {
    const word = mark[0].startsWith('9') ? '8' : '9';
    const edited = payload.slice(0, mark.index) + word + payload.slice(mark.index + mark[0].length);
    const signed: SignedManifest = { ...early.signed, payload: Buffer.from(edited).toString('base64') };
    return writeDelivered(dir, `edited${i}`, { ...early, signed });
  });
  expect(new Set(await Promise.all(paths.map(ours)))).toEqual(new Set(['tampered']));
  expect(new Set(theirs(paths).map((answer) => answer.split(':')[0]))).toEqual(new Set(['tampered']));
});
