import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { AuditEntry } from '../../src/contract/audit.js';
import { openSite } from './site.js';

const PASSPHRASE = 'four words in a row';

test(
  'a box is backed up while it records and comes back in a new folder: it records, with its key, log and cameras',
  { timeout: 120_000 },
  async () => {
    await using opened = await openSite({ cameras: 1, address: '127.0.38.11' });
    const { site } = opened;
    const file = join(site.dir, 'box.backup');
    const words = join(site.dir, 'words');
    writeFileSync(words, `${PASSPHRASE}\n`, { mode: 0o600 });
    const short = await site.tryCli(['backup', '--out', file], 'short');
    expect([short.code, short.stderr]).toEqual([1, expect.stringContaining('at least 12 characters')]);
    await site.cli(['backup', '--out', file], PASSPHRASE);
    expect(statSync(file).mode & 0o077).toBe(0);
    const running = await site.tryCli(['restore', file], PASSPHRASE);
    expect(running.stderr).toContain('the agent runs');
    const before = await site.status();

    await site.agent.stop();
    const state = join(site.dir, 'state');
    renameSync(state, `${state}-old`);
    const secrets = [
      site.password,
      readFileSync(join(`${state}-old`, 'box.key'), 'utf8').split('\n')[1]!,
      readFileSync(join(`${state}-old`, 'seal.key'), 'utf8'),
      (JSON.parse(readFileSync(join(site.dir, 'claim.json'), 'utf8')) as { center: { password: string } }).center
        .password,
      'SQLite format',
      'camera 1',
    ].filter((secret) => secret !== undefined);
    const printable = execFileSync('strings', ['-n', '6', file], { maxBuffer: 2 ** 28 }).toString();
    expect(secrets.filter((secret) => printable.includes(secret) || readFileSync(file).includes(secret))).toEqual([]);
    const wrong = await site.tryCli(['restore', file], 'another passphrase');
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('does not open this backup')]);

    await site.cli(['restore', file, '--passphrase-file', words]);
    await site.startAgent();
    const now = await site.recording(2, 30_000);
    expect(now?.box.key).toBe(before.box.key);
    expect(now?.box.site).toBe(before.box.site);
    const { fault } = await site.cli<{ fault: unknown }>(['audit', 'verify']);
    expect(fault).toBeNull();
    const entries = await site.cli<AuditEntry[]>(['audit', 'show', '--limit', '100']);
    const kinds = entries.map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['box.start', 'box.restored', 'box.backup', 'config.camera.add']));
    expect(kinds.indexOf('box.restored')).toBeLessThan(kinds.indexOf('box.backup'));
    expect(entries.find(({ kind }) => kind === 'box.restored')!.words).toMatch(/a backup of 20.*was restored/);
  },
);
