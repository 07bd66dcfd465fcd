import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { call, start, type Program } from '../../scripts/lib/program.js';
import type { StatusBody } from '../../src/contract/http.js';

let dir: string;
let config: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bluelight-end-'));
  config = join(dir, 'bluelight.toml');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function run(webPort: number): Program<{ page: string }> {
  writeFileSync(
    config,
    [
      `state_dir = "${dir}/state"`,
      `[recording]\ndir = "${dir}/ring"\ncreate = true`,
      `[web]\nport = ${webPort}\nhost = "127.0.0.1"`,
      `[policy]\nfile = "${dir}/policy.toml"`,
      '',
    ].join('\n'),
  );
  return start(['--config', config, 'run']);
}

async function end(agent: Program<unknown>): Promise<{ code: number | null; signal: string | null }> {
  if (agent.child.exitCode === null && agent.child.signalCode === null) await once(agent.child, 'exit');
  return { code: agent.child.exitCode, signal: agent.child.signalCode };
}

test('an agent that cannot start ends, with exit code 1 and the reason', { timeout: 40_000 }, async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const agent = run((other.address() as AddressInfo).port);
  await expect(agent.ready).rejects.toThrow(/in use|EADDRINUSE/);
  expect(await end(agent)).toEqual({ code: 1, signal: null });
  other.close();
});

test('SIGTERM ends the agent with exit code 0', { timeout: 40_000 }, async () => {
  const agent = run(0);
  await agent.ready;
  await agent.stop();
  expect(await end(agent)).toEqual({ code: 0, signal: null });
});

test('with a disk that hangs the agent starts, says so, and still ends', { timeout: 60_000 }, async () => {
  mkdirSync(join(dir, 'ring'));
  // Opening a pipe that nobody writes to hangs as a dead disk does.
  execFileSync('mkfifo', [join(dir, 'ring', 'disk.json')]);
  const agent = run(0);
  await agent.ready;
  const status = await call<StatusBody>(['--config', config, 'status']);
  expect(status.value.disk.state).toBe('starting');
  await agent.stop();
  expect((await end(agent)).signal).toBe('SIGKILL');
});
