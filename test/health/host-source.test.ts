import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { systemHost } from '../../src/health/host-source.js';

const made: string[] = [];
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true });
});

function sysWith(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'bl-sys-'));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

test('the hottest sensor of the processor is told, others are not', async () => {
  const root = sysWith({
    'devices/hwmon0/name': 'nvme\n',
    'devices/hwmon0/temp1_input': '70000\n',
    'devices/hwmon1/name': 'coretemp\n',
    'devices/hwmon1/temp1_input': '51500\n',
    'devices/hwmon1/temp2_input': '48000\n',
  });
  mkdirSync(join(root, 'class'));
  // As the kernel shows them: links to directories.
  symlinkSync(join(root, 'devices'), join(root, 'class/hwmon'));
  expect(await systemHost(root).cpuTemperature()).toEqual({ main: 51.5 });
});

test('boards without such a sensor have a thermal zone; one that cannot be read is left out', async () => {
  const root = sysWith({
    'class/thermal/thermal_zone0/type': 'cpu-thermal\n',
    'class/thermal/thermal_zone0/temp': '44312\n',
    'class/thermal/thermal_zone1/type': 'soc-thermal\n',
    'class/thermal/thermal_zone1/temp': '\n',
    'class/thermal/cooling_device0/type': 'Processor\n',
  });
  expect(await systemHost(root).cpuTemperature()).toEqual({ main: 44.312 });
  expect(await systemHost(sysWith({})).cpuTemperature()).toEqual({ main: null });
});

test('load is a share of all processors since the last call', async () => {
  const host = systemHost();
  const end = process.hrtime.bigint() + 300_000_000n;
  while (process.hrtime.bigint() < end);
  const { currentLoad } = await host.currentLoad();
  expect(currentLoad).toBeGreaterThan(0);
  expect(currentLoad).toBeLessThanOrEqual(100);
});
