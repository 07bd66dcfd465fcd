import { createServer } from 'node:http';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { json } from 'node:stream/consumers';
import { join } from 'node:path';
import { Command } from 'commander';
import { expect, onTestFinished, test, vi } from 'vitest';
import { addPolicyCommands } from '../../src/cli/policy.js';
import { policyDocument } from '../../src/contract/policy.js';
import { previewTable, previewWords } from '../../src/policy/preview.js';
import { temporaryDir } from '../store/helpers.js';

const names = { gate: 'Front gate', back: 'Back room', till: 'Till' };
const terms = {
  version: 1,
  authority: 'owner',
  timeZone: 'America/Chicago',
  cameras: [
    {
      camera: 'gate',
      mode: 'emergency',
      stills: true,
      retentionMaxDays: 14,
      hours: [{ days: ['sat', 'sun'], from: '20:00', to: '06:00' }],
    },
    {
      camera: 'back',
      mode: 'live',
      sightings: true,
      autoClips: true,
      masks: [
        [
          [0, 0],
          [9, 0],
          [9, 9],
        ],
      ],
    },
  ],
};

test('`policy preview` prints the sentences and, one line for each line of the terms, the table', async () => {
  const dir = temporaryDir();
  const socket = join(dir, 's');
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      const document = policyDocument.parse((body as { document: unknown }).document);
      const preview = { words: previewWords(document, names), table: previewTable(document, names), changes: [] };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(preview));
    });
  }).listen(socket);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  vi.stubEnv('BLUELIGHT_TABLE_HEAD', '1');
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    out.mockRestore();
  });
  const file = join(dir, 'terms.json');
  writeFileSync(file, JSON.stringify(terms));
  const program = new Command().option('--json').option('--socket <path>');
  addPolicyCommands(program);
  await program.parseAsync(['--socket', socket, 'policy', 'preview', file], { from: 'user' });
  const printed = out.mock.calls.map(([text]) => String(text)).join('');
  expect(printed).toContain('You see every look');
  const table = printed.slice(printed.indexOf('CAMERA')).trimEnd().split('\n');
  expect(table.map((line) => line.split(/ {2,}/))).toEqual([
    ['CAMERA', 'HOURS', 'MODE', 'STILLS', 'SIGHTINGS', 'CLIPS UNASKED', 'DAYS AT MOST', 'MASKS'],
    ['Front gate (gate)', 'Sat, Sun 20:00–06:00 (next day)', 'emergency', 'emergency', 'no', 'no', '14', 'no'],
    ['Back room (back)', 'at all times', 'live', 'no', 'yes', 'no', '-', 'yes'],
    ['Till (till)', 'at all times', 'none', 'no', 'no', 'no', '-', 'no'],
  ]);
});
