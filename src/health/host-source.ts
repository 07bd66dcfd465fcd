import { readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import si from 'systeminformation';
import { errorCode } from '../base/errors.js';

/** What is asked of the host; the shapes are those of `systeminformation`. */
export interface HostSource {
  system(): Promise<{ manufacturer: string; model: string }>;
  osInfo(): Promise<{ distro: string; release: string; arch: string }>;
  mem(): Promise<{ total: number; available: number }>;
  /** Per cent of all processors since the last call. */
  currentLoad(): Promise<{ currentLoad: number }>;
  /** Degrees Celsius of the hottest part of the processor; null where the host does not tell. */
  cpuTemperature(): Promise<{ main: number | null }>;
}

/**
 * `systeminformation`, except for what it asks of shell commands each time, load and temperature: starting programs
 * every few seconds costs more than recording a camera, and holds up the thread that answers everybody.
 */
export function systemHost(sys = '/sys'): HostSource {
  const load = loadMeter();
  return {
    system: () => si.system(),
    osInfo: () => si.osInfo(),
    mem: () => si.mem(),
    currentLoad: () => Promise.resolve({ currentLoad: load() }),
    cpuTemperature: async () => ({ main: (await hwmon(sys)) ?? (await thermalZone(sys)) ?? null }),
  };
}

function loadMeter(): () => number {
  let last = cpuTimes();
  return () => {
    const now = cpuTimes();
    const all = now.all - last.all;
    const share = all > 0 ? 1 - (now.idle - last.idle) / all : 0;
    last = now;
    return 100 * Math.max(0, Math.min(1, share));
  };
}

function cpuTimes(): { idle: number; all: number } {
  let idle = 0;
  let all = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    all += times.user + times.nice + times.sys + times.idle + times.irq;
  }
  return { idle, all };
}

/** Sensors of processors (Documentation/hwmon/sysfs-interface.rst): thousandths of a degree. */
async function hwmon(sys: string): Promise<number | undefined> {
  const found: number[] = [];
  for (const chip of await list(join(sys, 'class/hwmon'))) {
    const name = (await text(join(chip, 'name'))) ?? '';
    if (!/^(coretemp|k10temp|zenpower|.*cpu.*|.*soc.*)$/i.test(name)) continue;
    for (const file of await list(chip)) if (/temp\d+_input$/.test(file)) found.push(...(await degrees(file)));
  }
  return found.length === 0 ? undefined : Math.max(...found);
}

/** Documentation/driver-api/thermal/sysfs-api.rst. */
async function thermalZone(sys: string): Promise<number | undefined> {
  const found: number[] = [];
  for (const zone of await list(join(sys, 'class/thermal'))) {
    if (!/thermal_zone\d+$/.test(zone)) continue;
    const type = (await text(join(zone, 'type'))) ?? '';
    if (/pkg|cpu|soc|x86|acpitz/i.test(type)) found.push(...(await degrees(join(zone, 'temp'))));
  }
  return found.length === 0 ? undefined : Math.max(...found);
}

async function degrees(path: string): Promise<number[]> {
  const value = Number((await text(path)) ?? Number.NaN) / 1000;
  return Number.isFinite(value) && value > 0 && value < 200 ? [value] : [];
}

async function list(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort().map((name) => join(directory, name));
  } catch (error) {
    if (gone(error)) return [];
    throw error;
  }
}

/** A sensor may be there and give nothing: EIO, ENODATA, EAGAIN are usual. */
async function text(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (gone(error) || ['EIO', 'ENODATA', 'EAGAIN', 'EINVAL', 'ENXIO'].includes(errorCode(error) ?? ''))
      return undefined;
    throw error;
  }
}

function gone(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'].includes(errorCode(error) ?? '');
}
