import { systemClock } from '../../src/base/clock.js';
import { Redactor, silentLog } from '../../src/base/log.js';
import { createCameras } from '../../src/cameras/cameras.js';

// Runs inside a network namespace: looks for cameras with the default configuration and prints what it found.
const none = { list: () => Promise.resolve([]), names: () => Promise.resolve({}) };
const cameras = createCameras({
  clock: systemClock(),
  log: silentLog,
  redactor: new Redactor(),
  interfaces: process.argv.slice(2).filter((word) => !word.startsWith('--')),
  allowLoopback: false,
  cameras: { ...none, save: () => Promise.resolve(), remove: () => Promise.resolve() },
  credentials: { get: () => Promise.resolve(null), put: () => Promise.resolve(), remove: () => Promise.resolve() },
});
const clock = systemClock();
const started = clock.monotonic();
const devices = await cameras.discover({ ports: process.argv.includes('--scan') });
const interfaces = cameras.interfaces().map((one) => one.name);
process.stdout.write(JSON.stringify({ ms: clock.monotonic() - started, interfaces, devices }));
