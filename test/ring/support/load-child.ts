/**
 * A process that runs only the ring, under load: four streams as fast as the disk takes them, on a clock that runs as
 * fast as they do, with a small quota so that it evicts all the time. After each step it says on standard output what it
 * has handed to the disk and what it claims to be safe. It runs until it is killed.
 */
import { readFileSync, writeSync } from 'node:fs';
import { footage } from './media.js';
import { limits, Rig } from './rig.js';

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
const streams = ['a.main', 'a.sub', 'b.main', 'b.sub'];
for (const stream of streams) rig.begin(stream);
for (let step = 0; ; step++) {
  rig.record(0.5);
  const status = rig.ring.status();
  const written = Object.fromEntries([...rig.sources].map(([name, source]) => [name, source.endMs]));
  const began = Object.fromEntries([...rig.sources].map(([name, source]) => [name, source.run.wallMs]));
  const committed = Object.fromEntries(
    status.streams.map((s) => [s.stream, s.committedAgeMs === null ? 0 : rig.clock.wall - s.committedAgeMs]),
  );
  const { state, problem, usedBytes } = status;
  writeSync(
    1,
    `${JSON.stringify({ now: rig.clock.wall, began, written, committed, state, problem, usedBytes, heads: rig.ring.heads() })}\n`,
  );
  if (step % 300 === 299) {
    // A camera that comes and goes: runs and gaps under load as well.
    rig.end('b.sub', 'camera_offline');
    rig.clock.pass(2_000);
    rig.begin('b.sub');
  }
}
