import type { Command } from 'commander';
import { BluelightError } from '../base/errors.js';
import type { Camera, Device, DeviceStatus } from '../contract/camera.js';
import type { CameraTestBody, DiscoveryBody } from '../contract/http.js';
import type { Agent } from './agent.js';
import { action, EXIT, type Context } from './context.js';
import { readSecret } from './input.js';
import { line } from './output.js';

export function addCameraCommands(program: Command): void {
  program
    .command('discover')
    .description('look for ONVIF cameras on every camera-side interface')
    .option('--scan', 'also look for open RTSP and ONVIF ports, for cameras that answer no discovery')
    .action(action(discover));

  const camera = program.command('camera').description('adopted cameras');
  camera
    .command('add <address>')
    .description(
      'adopt a camera by IP address, EndpointReference or rtsp:// address; its password is read from standard input',
    )
    .option('-u, --username <name>', 'user name on the camera', 'admin')
    .option('-n, --name <name>', 'name for people, such as "JX-INT-0042-1"')
    .option('--sub <address>', 'rtsp:// address of the substream, beside that of the main stream')
    .action(
      action(async (context, address: string, options: AddOptions) => {
        const body = await addBody(address, options);
        const added = await context.agent().post<Added>('/devices', body);
        context.show(added, () => printCameras(context, added.cameras));
      }),
    );
  camera
    .command('replace <id> <address>')
    .description('put another device in the place of a camera: id, name, zones and history stay')
    .option('-u, --username <name>', 'user name on the new camera', 'admin')
    .option('--sub <address>', 'rtsp:// address of the substream, beside that of the main stream')
    .action(
      action(async (context, id: string, address: string, options: AddOptions) => {
        const body = await addBody(address, options);
        const added = await context.agent().post<Added>(`${pathOf(id)}/replace`, body);
        context.show(added, () => printCameras(context, added.cameras));
      }),
    );
  camera
    .command('password <id>')
    .description('give the box the new password of a camera, from standard input; it is tried once')
    .option('-u, --username <name>', 'user name on the camera', 'admin')
    .action(
      action(async (context, id: string, { username }: { username: string }) => {
        const password = await readSecret(`password of ${username} on ${id}: `);
        await context.agent().post(`${pathOf(id)}/credentials`, { username, password });
        context.show({ camera: id }, () => line(`${id} lets the box in`));
      }),
    );
  camera
    .command('trust <id>')
    .description('accept the TLS certificate that the camera shows now, after it was reset or got new firmware')
    .action(
      action(async (context, id: string) => {
        const device = await context.agent().post<Device>(`${pathOf(id)}/certificate`);
        context.show(device, () => line(`${id} is known by ${device.certificate ?? 'no certificate'}`));
      }),
    );
  camera
    .command('devices')
    .description('adopted devices: whether they let the box in, and who tells of their motion')
    .action(
      action(async (context) => {
        const { devices } = await context.agent().get<{ devices: DeviceStatus[] }>('/devices');
        context.show(devices, () => printDevices(context, devices));
      }),
    );
  camera
    .command('relay <id> [relay] [state]')
    .description('list the relays and inputs of a camera, or set one: `camera relay cam-1 relay_1 on`')
    .action(action(relay));
  camera
    .command('tune <id>')
    .description('change settings of the camera itself; undone when it is removed')
    .option('--gop', 'a key frame a second in the substream')
    .option('--clock', 'the box sets the clock of the camera and keeps it')
    .option('--consent', 'needed: whoever is responsible for the camera agrees')
    .action(
      action(async (context, id: string, options: { gop?: boolean; clock?: boolean; consent?: boolean }) => {
        if (options.consent !== true) {
          throw new BluelightError('USAGE', 'this changes the camera itself', { fix: 'say --consent if you may' });
        }
        const body = { consent: true, gop: options.gop ?? false, clock: options.clock ?? false };
        const result = await context.agent().post<{ changed: string[] }>(`${pathOf(id)}/tune`, body);
        context.show(result, () => {
          for (const change of result.changed) line(change);
          if (result.changed.length === 0) line('nothing had to be changed');
        });
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
    .command('accept-view <id>')
    .description('what the camera sees now is right: ends the alarm that it was moved')
    .action(
      action(async (context, id: string) => {
        await context.agent().post(`/cameras/${encodeURIComponent(id)}/view`);
        context.show({ accepted: id }, () => line(`${id}: this view is the one to be kept`));
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

interface Added {
  device: Device;
  cameras: Camera[];
}

interface AddOptions {
  username: string;
  name?: string;
  sub?: string;
}

function pathOf(id: string): string {
  return `/cameras/${encodeURIComponent(id)}`;
}

async function addBody(address: string, { username, name, sub }: AddOptions): Promise<object> {
  const password = await readSecret(`password of ${username} on ${address}: `);
  return { address, username, password, name, sub };
}

const STATES: Record<string, boolean> = { on: true, off: false };

async function relay(context: Context, id: string, token?: string, state?: string): Promise<number> {
  const agent = context.agent();
  if (token === undefined) {
    const io = await agent.get<{ relays: { token: string; service: string }[]; inputs: string[] }>(`${pathOf(id)}/io`);
    context.show(io, () => {
      for (const one of io.relays) line(`relay  ${one.token}  (${one.service})`);
      for (const input of io.inputs) line(`input  ${input}`);
    });
    return EXIT.ok;
  }
  const active = STATES[state ?? ''];
  if (active === undefined) {
    throw new BluelightError('USAGE', `"${state ?? ''}" is no state of a relay`, { fix: 'say on or off' });
  }
  const result = await agent.post<{ confirmed: boolean }>(`${pathOf(id)}/relay`, { relay: token, active });
  const how = result.confirmed ? 'the camera confirms it' : 'the camera tells no state: look at the light itself';
  context.show(result, () => line(`${token} is ${state}; ${how}`));
  return result.confirmed ? EXIT.ok : EXIT.cannotTell;
}

function printDevices(context: Context, devices: DeviceStatus[]): void {
  context.table(
    devices.map((one) => ({
      device: one.device.id,
      address: one.device.address,
      cameras: one.cameras.join(' '),
      state: one.link,
      'motion from': one.events.by,
      detail: [one.detail, one.fix, one.events.detail].filter((text) => text !== '').join('; '),
    })),
  );
}

async function discover(context: Context, options: { scan?: boolean }): Promise<number> {
  const agent = context.agent();
  const before = await agent.get<DiscoveryBody>('/discovery/devices');
  await agent.post(`/discovery/scan?ports=${options.scan === true ? 'true' : 'false'}`);
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
