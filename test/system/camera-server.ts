import { systemClock } from '../../src/base/clock.js';
import { silentLog } from '../../src/base/log.js';
import { systemProcesses } from '../../src/base/processes.js';
import { startVirtualCameras } from '../../src/sim/camera/index.js';
import { kept } from '../support/kept.js';

// Runs inside a network namespace: one virtual camera on each of the addresses given, which lose that share of all
// discovery packets each way. `hostile=N`: the first N answer every probe with all odd shapes as well; `channels=N`: the
// last is a recorder. Prints a line when all answer.
const [loss = '0', ...rest] = process.argv.slice(2);
const addresses = rest.filter((word) => !word.includes('='));
const numberOf = (name: string): number =>
  Number(rest.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? 0);
const clock = systemClock();
const cameras = await startVirtualCameras({
  clock,
  processes: systemProcesses(clock),
  log: silentLog,
  cacheDir: kept('bluelight-test-footage'),
  cameras: addresses.map((address, i) => ({
    channels: i === addresses.length - 1 ? Math.max(1, numberOf('channels')) : 1,
    id: `cam-${address.replaceAll('.', '-')}`,
    address,
    username: 'admin',
    password: 'sim-Passw0rd',
    source: { kind: 'scene', scene: { seed: 7, loopSeconds: 6, activity: 0.6 } },
    main: { width: 640, height: 360, fps: 15, gopSeconds: 1, kbps: 1_500 },
    sub: { width: 320, height: 180, fps: 10, gopSeconds: 1, kbps: 300 },
  })),
});
cameras.cameras.forEach((camera, i) => {
  camera.setFaults({ discoveryLossShare: Number(loss), hostileDiscovery: i < numberOf('hostile') });
});
process.stdout.write('ready\n');
process.once('SIGTERM', () => void cameras.close().then(() => process.exit(0)));
