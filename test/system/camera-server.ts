import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.js';
import { silentLog } from '../../src/base/log.js';
import { systemProcesses } from '../../src/base/processes.js';
import { startVirtualCameras } from '../../src/sim/camera/index.js';

// Runs inside a network namespace: one virtual camera on each of the addresses given, which lose that share of all
// discovery packets each way. Prints a line when all answer.
const [loss = '0', ...addresses] = process.argv.slice(2);
const clock = systemClock();
const cameras = await startVirtualCameras({
  clock,
  processes: systemProcesses(clock),
  log: silentLog,
  cacheDir: join(tmpdir(), 'bluelight-test-footage'),
  cameras: addresses.map((address) => ({
    id: `cam-${address.replaceAll('.', '-')}`,
    address,
    username: 'admin',
    password: 'sim-Passw0rd',
    source: { kind: 'scene', scene: { seed: 7, loopSeconds: 6, activity: 0.6 } },
    main: { width: 640, height: 360, fps: 15, gopSeconds: 1, kbps: 1_500 },
    sub: { width: 320, height: 180, fps: 10, gopSeconds: 1, kbps: 300 },
  })),
});
for (const camera of cameras.cameras) camera.setFaults({ discoveryLossShare: Number(loss) });
process.stdout.write('ready\n');
process.once('SIGTERM', () => void cameras.close().then(() => process.exit(0)));
