import { existsSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import type { IdentityBody } from '../../src/contract/identity.js';
import type { AuditEntry } from '../../src/contract/audit.js';
import { openSite } from './site.js';

test(
  'a box whose database is damaged or gone records on from its copy, says so loudly, and shares nothing until somebody consents',
  { timeout: 200_000 },
  async () => {
    await using opened = await openSite({ cameras: 1, address: '127.0.41.11' });
    const { site } = opened;
    const state = join(site.dir, 'state');
    const database = join(state, 'state.db');
    const copy = join(state, 'state.copy.db');
    const { key } = await site.cli<IdentityBody>(['key', 'show']);
    // The copy follows what was set up last.
    const copied = (): Promise<true | undefined> => until(async () => existsSync(copy) || undefined, 30_000);
    for (const change of ['pause', 'resume']) {
      rmSync(copy, { force: true });
      await site.cli([change]);
      expect(await copied(), `a copy after ${change}`).toBe(true);
    }
    const { console: center } = await site.center.ready;
    const enrolment = async (): Promise<string | undefined> => {
      const { boxes } = (await (await fetch(`${center}api/state`)).json()) as { boxes: { policy: { enrolment: string } | null }[] }; // prettier-ignore
      return boxes[0]?.policy?.enrolment;
    };
    const becomes = (wanted: string): Promise<true | undefined> =>
      until(async () => ((await enrolment()) === wanted ? true : undefined), 30_000);
    expect(await becomes('active')).toBe(true);

    const damage = {
      damaged: () => writeFileSync(database, Buffer.alloc(8_192, 7)),
      missing: () => truncateSync(database, 0),
    };
    for (const [what, harm] of Object.entries(damage)) {
      await site.agent.stop('SIGKILL');
      // Else SQLite would mend it from there.
      for (const tail of ['-wal', '-shm']) rmSync(database + tail, { force: true });
      harm();
      await site.startAgent();
      // The same box, the same camera, recorded.
      expect((await site.cli<IdentityBody>(['key', 'show'])).key).toBe(key);
      expect(await site.recording(2, 40_000), 'recording goes on').toBeDefined();
      const told = await until(async () => {
        const { problems, state: word } = await site.status();
        // Of the second loss: the copy may hold the alarm of the first, which says so until the first look.
        const problem = problems.find(({ code, message }) => code === 'STATE_LOST' && message.includes(what));
        return problem === undefined ? undefined : { ...problem, word };
      }, 15_000);
      expect(told).toMatchObject({ severity: 'critical', word: 'problem', message: expect.stringContaining(what) });
      const rows = await site.cli<AuditEntry[]>(['audit', 'show', '--limit', '200']);
      expect(rows.find((row) => row.kind === 'box.state.lost')).toMatchObject({ code: 'STATE_LOST', outcome: 'failed' }); // prettier-ignore
      expect(await becomes('ended'), 'the center hears that nothing is shared').toBe(true);
      const { id } = await site.cli<{ id: string }>(['clip', 'make', 'cam-1', '--from', '-10s', '--to', '-3s', '--send']); // prettier-ignore
      const sent = async (): Promise<string | undefined> => (await site.cli<{ id: string; state: string }[]>(['clip', 'list'])).find((one) => one.id === id)?.state; // prettier-ignore
      expect(await until(async () => ((await sent()) === 'withheld' ? true : undefined), 20_000)).toBe(true);
      // It stays so over a restart: nobody consented.
      await site.agent.stop();
      await site.startAgent();
      expect(await becomes('ended')).toBe(true);
    }
    expect(readdirSync(state).filter((name) => name.startsWith('state.db.damaged-'))).toEqual(['state.db.damaged-1']);

    // An owner consents: from then on it is over. The alarm goes later, as after every start.
    const terms = join(site.dir, 'terms.json');
    const camera = { camera: 'cam-1', mode: 'clips', stills: true };
    writeFileSync(terms, JSON.stringify({ version: 5, authority: 'owner', timeZone: 'UTC', cameras: [camera] }));
    await site.cli(['policy', 'owner', 'Ms Lee'], 'four words are good');
    await site.cli(['policy', 'accept', terms], 'four words are good');
    expect(await becomes('active'), 'shared again').toBe(true);
  },
);
