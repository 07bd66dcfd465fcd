/** Opens a large ring, records the first fragment of every stream, and says how long that took. */
import { footage } from './media.js';
import { Rig } from './rig.js';

const [directory = '', file = ''] = process.argv.slice(2);
footage(file);
const before = process.hrtime.bigint();
const since = (): number => Number((process.hrtime.bigint() - before) / 1000n) / 1000;
const rig = new Rig({ ballastBytes: 32 << 20 }, directory);
rig.clock.wall = Date.UTC(2027, 0, 1);
rig.open();
const openMs = since();
const source = rig.begin('cam-0.main');
rig.ring.appendFragment('cam-0.main', source.run.run, source.next());
const firstByteMs = since();
for (let i = 1; i < 16; i++) for (const role of ['main', 'sub']) rig.begin(`cam-${i}.${role}`);
rig.record(2);
rig.ring.status();
const rssMb = process.memoryUsage.rss() / 1e6;
console.log(JSON.stringify({ firstByteMs, openMs, rssMb }));
rig.ring.dropHandles();
