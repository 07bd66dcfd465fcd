/**
 * A process that runs only the ring, under load: four streams as fast as the disk takes them, on a clock that runs as
 * fast as they do, with a small quota so that it evicts all the time. It says on standard output each fragment that the
 * ring took, and after each step what the ring claims to be safe. It runs until it is killed.
 */
import { openSync, readFileSync, writeSync } from 'node:fs';
import { errorCode } from '../../../src/base/errors.js';
import { footage } from './media.js';
import type { ChildWord } from './campaign.js';
import { limits, Rig } from './rig.js';
import { StateLoad, type StateAck } from './state/load.js';

const [directory = '', file = '', quota = '0', boot = 'boot'] = process.argv.slice(2);
footage(file);
const rig = new Rig(
  { limits: limits({ quotaBytes: Number(quota) }), bootId: boot, journalFileBytes: 200_000 },
  directory,
);
/** Where the earlier process on this directory stopped, so that time goes on. */
rig.clock.wall = Number(readFileSync(`${file}.clock`, 'utf8'));
rig.open();
rig.ring.setProtections([]);
const state = new StateLoad(directory);
const probe = openSync(`${directory}-state/probe`, 'w');
const streams = ['a.main', 'a.sub', 'b.main', 'b.sub'];
for (const stream of streams) rig.begin(stream);
const say = (word: ChildWord): void => void writeSync(1, `${JSON.stringify(word)}\n`);
/** Half a second of every stream, in the rhythm of the ring thread. */
function step(): void {
  const ready = [...rig.sources.values()].map((source) => ({ source, fragment: source.next() }));
  rig.clock.pass(250);
  rig.ring.tick();
  rig.clock.pass(250);
  for (const { source, fragment } of ready) {
    rig.ring.appendFragment(source.stream, source.run.run, fragment);
    // Counts may be as old as they like: only what the disk is doing is asked here.
    if (rig.ring.status(Infinity).state !== 'ok') continue;
    say({ took: source.stream, fromMs: fragment.wallMs, toMs: fragment.wallMs + fragment.duration / 90 });
  }
  rig.ring.tick();
}
/** Undefined: the disk is gone. */
function acknowledged(now: number): StateAck | undefined {
  try {
    return state.step(now);
  } catch (error) {
    if (errorCode(error)?.startsWith('SQLITE_IOERR') === true) return undefined;
    throw error;
  }
}
/** A sync that is under way while the power goes may still say that all is well: whoever said so must be able to write on. */
function powered(): boolean {
  try {
    writeSync(probe, '.', 0);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EIO') return false;
    throw error;
  }
}
for (let n = 0; ; n++) {
  step();
  const { streams: told, problem, usedBytes, ...ring } = rig.ring.status();
  const now = rig.clock.wall;
  const committed = Object.fromEntries(
    told.map((s) => [s.stream, s.committedAgeMs === null ? 0 : now - s.committedAgeMs]),
  );
  const heads = ring.state === 'ok' ? rig.ring.heads() : {};
  const acked = acknowledged(now);
  say({ now, committed, state: powered() ? ring.state : 'failed', problem, usedBytes, heads, acked });
  if (n % 300 === 299) {
    // A camera that comes and goes: runs and gaps under load as well.
    rig.end('b.sub', 'camera_offline');
    rig.clock.pass(2_000);
    rig.begin('b.sub');
  }
}
