import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import type { JobMessage } from '../../src/contract/commands.js';
import type { IssuedReceiptBody } from '../../src/contract/owner.js';
import type { AuditEntry } from '../../src/contract/audit.js';
import { ask as http } from '../web/harness.js';
import { mosquitto, subscribe } from '../center/mosquitto.js';
import { clipOf, jobIn, operatorAsks } from './operator.js';
import { openSite, segmentFiles } from './site.js';

const PASSPHRASE = 'blue lights on the corner';

interface Ask {
  id: string;
  camera: string;
  reason: string;
  operator: string;
  agency: string;
  from: string;
  to: string;
}

test(
  'a request of the city waits for the owner, who sees who asks and why: no is no, yes sends the clip',
  { timeout: 300_000 },
  async () => {
    const broker = await mosquitto();
    await broker.start();
    await using opened = await openSite({ cameras: 1, address: '127.0.36.11', centerArgs: ['--broker', broker.url] });
    const { site, ring } = opened;
    // What is asked for must have been recorded.
    await until(async () => (segmentFiles(ring, 'cam-1.main').length > 1 ? true : undefined), 30_000);
    const { console: center } = await site.center.ready;
    const heard = subscribe(broker.port, 'bluelight/v1/jx-int-0042/box-1/job/#');
    const comesTo = (id: string, state: JobMessage['state'], withinMs = 60_000): Promise<JobMessage | undefined> =>
      until(async () => {
        const job = jobIn(heard.lines, id);
        return job?.state === state ? job : undefined;
      }, withinMs);

    const terms = join(site.dir, 'terms.json');
    const camera = { camera: 'cam-1', mode: 'ask', stills: true };
    writeFileSync(terms, JSON.stringify({ version: 1, authority: 'owner', timeZone: 'UTC', cameras: [camera] }));
    await site.cli(['policy', 'owner', 'Ms Jones'], PASSPHRASE);
    await site.cli(['policy', 'accept', terms], PASSPHRASE);
    await until(
      async () => ((await kept(broker.port, 'policy/reported')).includes('"ask"') ? true : undefined),
      20_000,
    );

    const now = Date.now();
    const request = (more: object = {}): Promise<string> =>
      operatorAsks(center, { ...clipOf(now, 8_000, 2_000), ...more });
    const asked = async (): Promise<Ask> => {
      const found = await until(async () => (await site.cli<Ask[]>(['policy', 'asks']))[0], 20_000);
      return found!;
    };

    // --- no is no
    const first = await request();
    expect(await comesTo(first, 'QUEUED')).toMatchObject({ progress: { waiting: 'owner' } });
    const ask = await asked();
    expect(ask).toMatchObject({ camera: 'cam-1', reason: 'a robbery at the corner', operator: 'op-1', agency: 'rtcc' });
    expect(await ownersStill(await site.agent.ready, ask)).toBe('image/jpeg');
    const stranger = await site.tryCli(['policy', 'answer', ask.id, 'yes'], 'not her passphrase');
    expect(stranger.code, 'only the owner answers').not.toBe(0);
    await site.cli(['policy', 'answer', ask.id, 'no'], PASSPHRASE);
    expect(await comesTo(first, 'REJECTED')).toMatchObject({ error: { code: 'OWNER_APPROVAL_REQUIRED' } });

    // --- yes sends what was asked
    const second = await request();
    await comesTo(second, 'QUEUED');
    await site.cli(['policy', 'answer', (await asked()).id, 'yes'], PASSPHRASE);
    const done = await comesTo(second, 'SUCCEEDED', 90_000);
    expect(done, site.agent.log()).toMatchObject({ result: { clips: [{ camera: 'cam-1', state: 'delivered' }] } });
    expect(await kept(broker.port, `job/${second}`), 'the end of a job stays with the broker').toContain('SUCCEEDED');

    // --- what nobody signed, and what this box cannot do
    const live = await request({ name: 'light.test', args: {} });
    expect(await comesTo(live, 'REJECTED')).toMatchObject({ error: { code: 'UNSUPPORTED' } });
    spawnSync('mosquitto_pub', [
      ...['-h', '127.0.0.1', '-p', String(broker.port), '-V', '5', '-q', '1'],
      ...['-t', 'bluelight/v1/jx-int-0042/box-1/cmd/rebirth', '-m', 'e30.e30.c2lnbmVk'],
    ]);
    const refused = await until(
      async () =>
        (await site.cli<AuditEntry[]>(['audit', 'show', '--limit', '50'])).find((row) => row.code === 'BAD_SIGNATURE'),
      30_000,
    );
    expect(refused).toMatchObject({ kind: 'command.unknown', outcome: 'refused', door: 'mqtt' });

    // --- a technician sees pictures only while the owner lets him, a day at most
    const still = ['still', 'cam-1', '--out', join(site.dir, 'still.jpg')];
    expect((await site.tryCli(still)).code, 'exit code of a denial').not.toBe(0);
    expect((await site.tryCli(['policy', 'technician', '--for', '25h'], PASSPHRASE)).code).not.toBe(0);
    expect((await site.tryCli(['policy', 'technician', '--for', '1h'], 'not her passphrase')).code).not.toBe(0);
    await site.cli(['policy', 'technician', '--for', '1h'], PASSPHRASE);
    await site.cli(still);
    expect(await site.cli(['policy', 'technician', '--off'])).toEqual({ until: null });
    expect((await site.tryCli(still)).code).not.toBe(0);

    // --- after leaving the broker holds nothing of this box, and nobody listens
    // Sequence numbers begin anew, so old files are known by what is in them.
    const before = readFileSync(segmentFiles(ring, 'cam-1.main')[0]!);
    const exit = await site.cli<IssuedReceiptBody>(['optout', '--erase', '--passphrase-stdin'], PASSPHRASE);
    expect(exit.receipt.words.join(' ')).toContain('were erased');
    expect((await site.recording(2, 20_000))?.streams, 'recording goes on').toHaveLength(2);
    expect(existsSync(join(ring, 'erased'))).toBe(false);
    expect(segmentFiles(ring, 'cam-1.main').filter((path) => readFileSync(path).equals(before))).toEqual([]);
    expect(await kept(broker.port, '#')).toBe('');
    const lines = heard.lines.length;
    await request({ lifeS: 5 });
    expect(await kept(broker.port, 'cmd/#')).toBe('');
    expect(heard.lines.slice(lines)).toEqual([]);
    await heard.stop();
    await broker.kill();
  },
);

/** What a subscriber that comes now is given: retained messages below the box's topic. */
async function kept(port: number, topic: string): Promise<string> {
  const args = ['-h', '127.0.0.1', '-p', String(port), '-V', '5', '-W', '1', '--retained-only', '-F', '%t %p'];
  const all = topic === '#' ? ['-t', 'bluelight/v1/jx-int-0042/#'] : ['-t', `bluelight/v1/jx-int-0042/box-1/${topic}`];
  return Promise.resolve(spawnSync('mosquitto_sub', [...args, ...all], { encoding: 'utf8' }).stdout);
}

/** As the owner's page does it: her login, her own picture of the middle of what is asked. */
async function ownersStill({ page }: { page: string }, ask: Ask): Promise<string> {
  const port = Number(new URL(page).port);
  const login = await http({ port }, 'POST', '/api/v1/login', { body: { code: PASSPHRASE, as: 'token' } });
  const { token } = login.json() as { token: string };
  const at = new Date((Date.parse(ask.from) + Date.parse(ask.to)) / 2).toISOString();
  const still = await http({ port }, 'GET', `/api/v1/cameras/${ask.camera}/snapshot.jpg?role=sub&at=${at}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return String(still.headers['content-type']);
}
