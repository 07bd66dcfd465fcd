import type { Command } from 'commander';
import { BluelightError } from '../base/errors.js';
import type { Camera, Device } from '../contract/camera.js';
import type { CameraTestBody, DiscoveryBody } from '../contract/http.js';
import type { Agent } from './agent.js';
import { action, EXIT, type Context } from './context.js';
import { readSecret } from './input.js';
import { line } from './output.js';

export function addCameraCommands(program: Command): void {
  program
    .command('discover')
    .description('look for ONVIF cameras on every camera-side interface')
    .action(action(discover));

  const camera = program.command('camera').description('adopted cameras');
  camera
    .command('add <address>')
    .description('adopt a camera; its password is read from standard input, never from the command line')
    .option('-u, --username <name>', 'user name on the camera', 'admin')
    .option('-n, --name <name>', 'name for people, such as "JX-INT-0042-1"')
    .action(
      action(async (context, address: string, options: { username: string; name?: string }) => {
        const password = await readSecret(`password of ${options.username} on ${address}: `);
        const body = { address, username: options.username, password, name: options.name };
        const added = await context.agent().post<{ device: Device; cameras: Camera[] }>('/devices', body);
        context.show(added, () => printCameras(context, added.cameras));
      }),
    );
  camera
    .command('list')
    .description('adopted cameras and their streams')
    .action(
      action(async (context) => {
        const { cameras } = await context.agent().get<{ cameras: Camera[] }>('/cameras');
        context.show(cameras, () => printCameras(context, cameras));
      }),
    );
  camera
    .command('test <id>')
    .description('log in to a camera and check each step')
    .action(
      action(async (context, id: string) => {
        const test = await context.agent().post<CameraTestBody>(`/cameras/${encodeURIComponent(id)}/test`);
        context.show(test, () => {
          for (const step of test.steps) {
            line(`${step.ok ? 'ok  ' : 'FAIL'}  ${step.name}: ${step.detail} (${Math.round(step.ms)} ms)`);
            if (step.fix !== null) line(`      ${step.fix}`);
          }
        });
        return test.ok ? EXIT.ok : EXIT.checkFailed;
      }),
    );
  camera
    .command('remove <id>')
    .description('forget a camera; what it recorded stays until the ring overwrites it')
    .action(
      action(async (context, id: string) => {
        await context.agent().delete(`/cameras/${encodeURIComponent(id)}`);
        context.show({ removed: id }, () => line(`${id} removed`));
      }),
    );
}

async function discover(context: Context): Promise<number> {
  const agent = context.agent();
  const before = await agent.get<DiscoveryBody>('/discovery/devices');
  await agent.post('/discovery/scan');
  let found = await agent.get<DiscoveryBody>('/discovery/devices');
  while (found.running || found.finishedAt === before.finishedAt) {
    await context.clock.sleep(200);
    found = await agent.get<DiscoveryBody>('/discovery/devices');
  }
  context.show(found.devices, () => {
    if (found.devices.length === 0) line('no camera answered; are they on, and is cameras.interfaces right?');
    context.table(
      found.devices.map((d) => ({
        address: d.address,
        name: d.name,
        hardware: d.hardware,
        interface: d.interface,
        state: d.adopted ? 'adopted' : d.reachable ? 'new' : 'seen, unreachable',
        'heard by': d.heardBy.join('+'),
      })),
    );
  });
  return EXIT.ok;
}

function printCameras(context: Context, cameras: Camera[]): void {
  const size = (stream: Camera['main'] | null): string =>
    stream === null ? '-' : `${stream.width}x${stream.height} ${stream.codec}`;
  context.table(
    cameras.map((c) => ({
      id: c.id,
      name: c.name,
      address: c.device.address,
      device: `${c.device.make} ${c.device.model}`.trim(),
      main: size(c.main),
      sub: size(c.sub),
    })),
  );
}

/** A removed camera still has footage; one without any that was never adopted is a slip of the pen. */
export async function mustExist(agent: Agent, camera: string): Promise<void> {
  const { cameras } = await agent.get<{ cameras: Camera[] }>('/cameras');
  if (cameras.some((one) => one.id === camera)) return;
  throw new BluelightError('NOT_FOUND', `there is no camera "${camera}"`, { fix: 'see `bluelight camera list`' });
}
