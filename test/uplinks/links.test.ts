import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { silentLog } from '../../src/base/log.js';
import { linkSetting, linksSetting } from '../../src/settings/links.js';
import { billingPeriod, budgetState } from '../../src/uplinks/budget.js';
import { apportion, counterDelta, parseCounters } from '../../src/uplinks/counters.js';
import { buildQuery, parseAnswer } from '../../src/uplinks/dns.js';
import { Ledger } from '../../src/uplinks/ledger.js';
import { chooseLink, probeDue } from '../../src/uplinks/link-state.js';
import { LinkSockets } from '../../src/uplinks/sockets.js';
import { link, memoryLedger } from './links.js';

const fiber = { id: 'fiber', cost: 'flat', up: true, forMs: 60_000 } as const;
const cell = { id: 'cell', cost: 'metered', up: true, forMs: 60_000 } as const;

test.each([
  ['the first choice is the cheapest that is up', [cell, fiber], null, 'fiber'],
  [
    'a short flap changes nothing, and nothing goes elsewhere meanwhile',
    [{ ...fiber, up: false, forMs: 2_999 }, cell],
    'fiber',
    null,
  ],
  ['after the hold-down another link takes over', [{ ...fiber, up: false, forMs: 3_000 }, cell], 'fiber', 'cell'],
  ['to resume on the same link there is none', [{ ...fiber, forMs: 0 }, cell], 'fiber', 'fiber'],
  ['a better link must hold before it takes over again', [{ ...fiber, forMs: 29_999 }, cell], 'cell', 'cell'],
  ['then it does', [{ ...fiber, forMs: 30_000 }, cell], 'cell', 'fiber'],
  [
    'none is up',
    [
      { ...fiber, up: false },
      { ...cell, up: false },
    ],
    'fiber',
    null,
  ],
] as const)('%s', (_name, links, current, expected) => {
  expect(chooseLink(links, current)).toBe(expected);
});

test('a metered link is not measured while its own traffic shows that it works, a silent one soon', () => {
  const quiet = {
    cost: 'metered',
    up: true,
    probed: true,
    current: true,
    sinceProbeMs: 3_600_000,
    silentMs: 0,
    failed: false,
  } as const;
  expect(probeDue(quiet)).toBe(false);
  expect(probeDue({ ...quiet, silentMs: 2_000 })).toBe(true);
  expect(probeDue({ ...quiet, silentMs: 3_000, sinceProbeMs: 1_000 })).toBe(false);
  expect(probeDue({ ...quiet, silentMs: 3_000, sinceProbeMs: 1_000, failed: true })).toBe(true);
  expect(probeDue({ ...quiet, current: false, sinceProbeMs: 599_999 })).toBe(false);
  expect(probeDue({ ...quiet, up: false, sinceProbeMs: 15_000 })).toBe(true);
});

test('a connection counts as sending for a while after its last byte, and only then', async () => {
  const server = createServer((socket) => socket.resume());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const time = new FakeClock();
  const sockets = new LinkSockets(link('fiber'), time, silentLog);
  expect(sockets.sentWithin(5_000)).toBe(false);
  const { port } = server.address() as AddressInfo;
  const connection = await sockets.dial({ host: '127.0.0.1', port, purpose: 'mqtt' });
  expect(sockets.sentWithin(5_000)).toBe(false);
  for (let i = 0; i < 2; i++) {
    connection.write('x');
    expect(sockets.sentWithin(5_000)).toBe(true);
    await time.advance(4_999);
    expect(sockets.sentWithin(5_000)).toBe(true);
    await time.advance(1);
    expect(sockets.sentWithin(5_000)).toBe(false);
  }
  connection.destroy();
  server.close();
});

test('a link is read from the configuration with what follows from its kind', () => {
  expect(linkSetting.parse({ id: 'lte', kind: 'cellular', interface: 'wwan0', budget: '20GB', hours: ['22:00-06:00'] }))
    .toMatchObject({
      cost: 'metered',
      budget: { bytes: 20e9, billingDay: 1, reserve: 0.25 },
      auto: ['stills'],
      originals: false,
      hours: [{ fromMinute: 1320, toMinute: 360 }],
    }); // prettier-ignore
  expect(linksSetting.parse([])).toMatchObject([{ id: 'default', interface: null, cost: 'flat', budget: null }]);
  expect(
    linksSetting.safeParse([
      { id: 'a', kind: 'fiber' },
      { id: 'a', kind: 'cable' },
    ]).success,
  ).toBe(false);
  expect(linkSetting.safeParse({ id: 'usb', kind: 'courier' }).success).toBe(false);
});

const DEV = (rx: number, tx: number): string => `Inter-|   Receive                        |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0
 wwan0: ${rx} 10 0 0 0 0 0 0 ${tx} 8 0 0 0 0 0 0
`;

test('counters of the kernel: read, differed, and from 0 again for a modem that was plugged in anew', () => {
  expect(parseCounters(DEV(70, 80)).get('wwan0')).toEqual({ received: 70, sent: 80 });
  expect(counterDelta({ sent: 5, received: 5 }, { sent: 7, received: 9 })).toEqual({ sent: 2, received: 4 });
  expect(counterDelta({ sent: 500, received: 5 }, { sent: 7, received: 9 })).toEqual({ sent: 7, received: 9 });
});

test('whatever sockets moved, the parts of the purposes add up to what the kernel counted', () => {
  const count = fc.record({ sent: fc.nat(1e9), received: fc.nat(1e9) });
  const socket = fc.record({
    class: fc.constantFrom('mqtt', 'clips', 'dns'),
    sent: fc.nat(1e8),
    received: fc.nat(1e8),
  });
  fc.assert(
    fc.property(count, fc.array(socket, { maxLength: 4 }), (wire, sockets) => {
      const parts = apportion(wire, sockets);
      const sum = (key: 'sent' | 'received'): number => parts.reduce((total, one) => total + one[key], 0);
      expect([sum('sent'), sum('received')]).toEqual([wire.sent, wire.received]);
      expect(parts.every((one) => one.sent >= 0 && one.received >= 0)).toBe(true);
    }),
    { seed: 7 },
  );
  const parts = apportion({ sent: 1_050_000, received: 5_000_000 }, [
    { class: 'clips', sent: 1_000_000, received: 1_000 },
  ]);
  expect(parts).toEqual([
    { class: 'clips', sent: 1_050_000, received: 3_300 },
    { class: 'other', sent: 0, received: 4_996_700 },
  ]);
});

test('the ledger counts what the interface moved while the agent was stopped, and starts anew with the billing period', async () => {
  const clock = new FakeClock(Date.UTC(2026, 5, 14, 23, 0));
  const table = memoryLedger();
  let dev = DEV(1_000_000, 1_000_000);
  let boot = 'one';
  const start = async (): Promise<{ ledger: Ledger; used: () => number }> => {
    const sockets = new LinkSockets(
      link('lte', { kind: 'cellular', interface: 'wwan0', budget: '1MB', billing_day: 15 }),
      clock,
      silentLog,
    );
    const readText = (path: string): Promise<string> => Promise.resolve(path.endsWith('boot_id') ? boot : dev);
    const ledger = new Ledger({ clock, links: [sockets], table, readText });
    await ledger.open();
    return { ledger, used: () => ledger.state(sockets).used };
  };
  const first = await start();
  await first.ledger.take();
  expect(first.used()).toBe(0);
  dev = DEV(1_200_000, 1_100_000);
  await first.ledger.take();
  expect(first.used()).toBe(300_000);
  dev = DEV(1_250_000, 1_100_000);
  const second = await start();
  await second.ledger.take();
  expect(second.used()).toBe(350_000);
  boot = 'two';
  dev = DEV(10_000, 10_000);
  const third = await start();
  await third.ledger.take();
  expect(third.used()).toBe(370_000);
  await clock.advance(2 * 3_600_000);
  await third.ledger.take();
  expect(third.used()).toBe(0);
});

test('budgets: period by billing day, reserve kept back, forecast by the pace so far', () => {
  expect(billingPeriod(15, Date.UTC(2026, 0, 3))).toEqual({
    fromMs: Date.UTC(2025, 11, 15),
    toMs: Date.UTC(2026, 0, 15),
  });
  const budget = { bytes: 20e9, billingDay: 1, reserve: 0.25 };
  const state = budgetState({ budget }, 10e9, Date.UTC(2026, 3, 11));
  expect(state).toMatchObject({ left: 5e9, limit: 20e9, forecast: 30e9 });
  expect(budgetState({ budget }, 16e9, Date.UTC(2026, 3, 11)).left).toBe(0);
  expect(budgetState({ budget }, 5, Date.UTC(2026, 3, 1, 1)).forecast).toBe(null);
});

test('a name server that answers another question, or cuts its answer, gives no address', () => {
  const question = buildQuery(7, 'center.example.org', 1);
  const alias = Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3]);
  const answer = Buffer.concat([question, alias, record]);
  answer.writeUInt16BE(0x8180, 2);
  answer.writeUInt16BE(2, 6);
  expect(parseAnswer(answer, question)).toEqual({ addresses: [{ address: '10.1.2.3', family: 4 }], ttlMs: 60_000 });
  expect(parseAnswer(answer.subarray(0, -6), question).addresses).toEqual([]);
  expect(() => parseAnswer(answer, buildQuery(7, 'center.example.com', 1))).toThrow(/another question/);
});
