import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import type { AuditEntry } from '../../src/contract/audit.js';
import type { IssuedReceiptBody } from '../../src/contract/owner.js';
import { RECEIPT_TYPE, type Receipt } from '../../src/contract/receipt.js';
import { openEnvelope, type Envelope } from '../../src/proof/dsse.js';
import { mosquitto, subscribe } from '../center/mosquitto.js';
import { operatorAsks } from './operator.js';
import { openSite } from './site.js';

const ROOT = 'bluelight/v1/jx-int-0042/box-1';
const LOGIN = { username: 'box-1', password: 'Sealed-Until-Cleared-7' };

/** Retained messages of the box itself, as mosquitto_sub sees them. */
function kept(port: number): string[] {
  const own = ['status', 'info', 'heartbeat', 'policy/reported', 'job/#'].flatMap((one) => ['-t', `${ROOT}/${one}`]);
  const args = ['-h', '127.0.0.1', '-p', String(port), '-V', '5', '-W', '1', '--retained-only', '-F', '%t'];
  const { stdout } = spawnSync('mosquitto_sub', [...args, ...own], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter((topic) => topic !== '')
    .sort();
}

test(
  'a box that leaves while the broker is away takes back later what it shows, also after a restart, and nothing else',
  { timeout: 120_000 },
  async () => {
    const broker = await mosquitto(['allow_anonymous true', 'autosave_on_changes true', 'autosave_interval 1']);
    await broker.start();
    await using opened = await openSite({
      cameras: 1,
      address: '127.0.77.11',
      centerArgs: ['--broker', broker.url],
      editClaim(path) {
        const claim = JSON.parse(readFileSync(path, 'utf8')) as { center: object };
        Object.assign(claim.center, LOGIN);
        writeFileSync(path, JSON.stringify(claim));
      },
    });
    const { site } = opened;
    const { console: center } = await site.center.ready;
    const shown = await until(async () => (kept(broker.port).length >= 4 ? kept(broker.port) : undefined), 20_000);
    expect(shown).toEqual(['heartbeat', 'info', 'policy/reported', 'status'].map((one) => `${ROOT}/${one}`));
    await broker.kill();

    const exit = await site.cli<IssuedReceiptBody>(['optout']);
    expect(exit.receipt.words.join(' ')).toMatch(/^This box has left.* Pending: the center's broker still shows/s);
    await site.agent.stop();
    const state = join(site.dir, 'state');
    const files = readdirSync(state, { withFileTypes: true }).filter((one) => one.isFile());
    const plain = files.filter(({ name }) => readFileSync(join(state, name)).includes(LOGIN.password));
    expect(plain.map(({ name }) => name)).toEqual([]);
    await site.startAgent();

    await broker.start();
    const heard = subscribe(broker.port, `${ROOT}/#`);
    const cleared = await until(async () => (kept(broker.port).length === 0 ? true : undefined), 40_000);
    expect(cleared, site.agent.log()).toBe(true);
    const added = await until(async () => {
      const list = await site.cli<{ id: string; kind: string }[]>(['receipts']);
      return list.find(({ kind }) => kind === 'addendum');
    }, 20_000);
    const envelope = await site.cli<Envelope>(['receipts', added!.id]);
    const signed = openEnvelope(envelope, { payloadType: RECEIPT_TYPE, trusted: [exit.receipt.key] });
    const addendum = JSON.parse(Buffer.from(signed.payload).toString()) as Receipt;
    expect(addendum).toMatchObject({ kind: 'addendum', adds: exit.id, site: 'jx-int-0042', box: 'box-1' });
    expect(addendum.words.join(' ')).toMatch(/Nothing of this box is kept .* is erased now/);
    const rows = await site.cli<AuditEntry[]>(['audit', 'show', '--limit', '20']);
    expect(rows.filter(({ kind }) => kind === 'policy.exit.cleared')).toHaveLength(1);

    // Later commands reach nobody, also after one more restart: there is nothing left to come back for.
    await site.agent.stop();
    await site.startAgent();
    await operatorAsks(center, { name: 'rebirth', args: {} });
    spawnSync('mosquitto_pub', [
      ...['-h', '127.0.0.1', '-p', String(broker.port), '-V', '5', '-q', '1'],
      ...['-t', `${ROOT}/cmd/rebirth`, '-m', 'e30.e30.c2lnbmVk'],
    ]);
    await until(async () => (heard.lines.some(({ topic }) => topic.includes('/cmd/')) ? true : undefined), 10_000);
    expect((await site.recording(2, 30_000))?.streams).toHaveLength(2);
    // What was retained when this listener came, and then nothing but its end.
    const ofBox = heard.lines.filter(({ topic }) => /\/(status|info|heartbeat|event|job|policy\/reported)/.test(topic));
    expect(ofBox.filter(({ retained, payload }) => !retained && payload !== '')).toEqual([]);
    expect(kept(broker.port)).toEqual([]);
    await heard.stop();
    await broker.kill();
  },
);
