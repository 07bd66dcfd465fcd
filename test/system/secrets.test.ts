import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mosquitto, subscribe } from '../center/mosquitto.js';
import { until } from '../../scripts/lib/program.js';
import type { Clip } from '../../src/contract/clip.js';
import { openSite } from './site.js';

/** Every form in which a password could slip out. */
function forms(secret: string): string[] {
  const base64 = Buffer.from(secret).toString('base64').replace(/=+$/, '');
  return [secret, encodeURIComponent(secret), base64, Buffer.from(secret).toString('hex')];
}

test('camera passwords are in no argv, log, MQTT message or answer of the page', { timeout: 300_000 }, async () => {
  const broker = await mosquitto();
  await broker.start();
  const heard = subscribe(broker.port, '#');
  const argv = new Set<string>();
  const watch = setInterval(() => commandLines().forEach((text) => argv.add(text)), 50);
  const answers: string[] = [];
  let log = '';
  let password = '';
  try {
    await using opened = await openSite({
      cameras: 2,
      address: '127.0.33.11',
      centerArgs: ['--broker', broker.url],
      settings: { log: { level: 'debug' }, cameras: { allow_loopback: true, interfaces: ['lo'], engine: 'ffmpeg' } },
    });
    const { site } = opened;
    password = site.password;
    // The flows that fail are the ones that talk most.
    const wrong = await site.tryCli(['camera', 'add', '127.0.33.11:8000', '--username', 'admin'], `${password}x`);
    expect(wrong.code).not.toBe(0);
    const delivered = await until(async () => {
      const clips = await site.cli<Clip[]>(['clip', 'list']);
      return clips.some((clip) => clip.state === 'delivered') ? true : undefined;
    }, 90_000);
    expect(delivered).toBe(true);
    for (const path of [
      'status',
      'discover',
      'camera list',
      'camera test cam-1',
      'clip list',
      'policy show',
      'audit show',
    ]) {
      answers.push(JSON.stringify(await site.tryCli(path.split(' '))));
    }
    log = site.agent.log();
  } finally {
    clearInterval(watch);
    await heard.stop();
    await broker.kill();
  }
  const told = heard.lines.map((line) => line.payload).join('\n');
  expect(log.length).toBeGreaterThan(1_000);
  expect(told).toContain('bluelight.motion');
  expect(
    [...argv].some((text) => text.includes('ffmpeg')),
    'ffmpeg was seen running',
  ).toBe(true);
  for (const form of forms(password)) {
    expect(argvHits(argv, form), 'argv').toEqual([]);
    expect(log.includes(form), 'log').toBe(false);
    expect(told.includes(form), 'MQTT').toBe(false);
    expect(answers.join('').includes(form), 'API').toBe(false);
  }
});

function argvHits(argv: ReadonlySet<string>, form: string): string[] {
  return [...argv].filter((text) => text.includes(form));
}

function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        // It ended between the two looks.
        return [];
      }
    });
}
