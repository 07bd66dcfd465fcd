import { createInterface } from 'node:readline';
import { systemClock } from '../../src/base/clock.js';
import { errorMessage } from '../../src/base/errors.js';
import { silentLog } from '../../src/base/log.js';
import { createUplinks } from '../../src/uplinks/index.js';
import { link, memoryLedger } from '../uplinks/links.js';

// The uplinks of a box, in a process of its own so that it can live in a network namespace. It sends footage all the
// time over the link that carries it, says when that changes, and its ledger when a line comes in.
const clock = systemClock();
const ledger = memoryLedger();
const url = process.argv[2]!;
const say = (word: object): void => void process.stdout.write(`${JSON.stringify(word)}\n`);
const uplinks = createUplinks({
  clock,
  log: silentLog,
  links: [
    link('fiber', { interface: 'fib0' }),
    link('lte', { kind: 'cellular', interface: 'cel0', budget: '1GB', dns: ['10.91.0.1'] }),
  ],
  ledger,
  center: { broker: `mqtt://${new URL(url).host}`, upload: url, key: 'x' },
  onCurrent: () => say({ current: uplinks.current()?.id ?? null }),
});
await uplinks.open();
clock.every(500, () => uplinks.settle());
createInterface({ input: process.stdin }).on('line', () => {
  void uplinks.settle().then(() => say({ entries: ledger.entries, status: uplinks.status() }));
});
say({ current: uplinks.current()?.id ?? null });
const { hostname, port } = new URL(url);
for (;;) {
  try {
    const socket = await uplinks.dial({ host: hostname, port: Number(port), purpose: 'clips' });
    socket.on('error', () => undefined);
    while (!socket.destroyed) {
      await new Promise((resolve) => socket.write(Buffer.alloc(16_384), resolve));
      await clock.sleep(50);
    }
  } catch (error) {
    say({ trouble: errorMessage(error) });
    await clock.sleep(200);
  }
}
