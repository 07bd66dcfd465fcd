import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { runToEnd, systemProcesses } from '../../src/base/processes.js';

const clock = systemClock();
const processes = systemProcesses(clock);

test('a finite program gives its output; a failing one its last words', async () => {
  const out = await runToEnd(processes, { command: 'cat', args: [] }, { input: 'footage' });
  expect(out.toString()).toBe('footage');
  const failing = runToEnd(processes, { command: 'ls', args: ['/no/such/place'] });
  await expect(failing).rejects.toMatchObject({
    code: 'PROCESS_FAILED',
    message: expect.stringContaining('No such file'),
  });
});

test('a program that does not exist is an end, not a crash', async () => {
  const end = await processes.start({ command: 'no-such-program', args: [] }).ended;
  expect(end.code).not.toBe(0);
});

test('a child that ignores TERM is killed after its grace', async () => {
  const child = processes.start({
    command: 'bash',
    args: ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'],
  });
  await once(child.stdout, 'data');
  const end = await child.stop(50);
  expect(end.signal).toBe('SIGKILL');
});

test('kill -9 of the parent takes the child with it', async () => {
  const parent = spawn(process.execPath, [
    '--import',
    'tsx',
    '--input-type=module',
    '-e',
    `import { systemProcesses } from './src/base/processes.ts';
     import { systemClock } from './src/base/clock.ts';
     const child = systemProcesses(systemClock()).start({ command: 'sleep', args: ['300'] });
     console.log(child.pid); setInterval(() => {}, 1000);`,
  ]);
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  parent.kill('SIGKILL');
  await once(parent, 'close');
  await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 2_000 }).toBe(false);
});
