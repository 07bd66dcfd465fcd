import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { BluelightError } from '../base/errors.js';
import { createLog, Redactor, type Log } from '../base/log.js';
import type { VirtualCameraOptions, VideoSource } from '../sim/camera/index.js';
import { action, type Context } from './context.js';
import { readSecret, whole } from './input.js';
import { line } from './output.js';

interface CameraOptions {
  count: number;
  address: string;
  onvifPort: number;
  rtspPort: number;
  username: string;
  passwordStdin?: boolean;
  cache: string;
  source?: string;
  seed: number;
  activity: number;
  loop: number;
  night?: boolean;
  order: 'main-first' | 'sub-first';
  auth: 'both' | 'digest' | 'wsse';
  perPacket?: boolean;
  oneScene?: boolean;
  codec: 'h264' | 'h265';
  transport: 'tcp' | 'udp' | 'any';
  https?: boolean;
  channels: number;
  audio?: boolean;
  relays: number;
  inputs: number;
  lockOut?: number;
  controlPort?: number;
}

interface CenterOptions {
  dir: string;
  host: string;
  mqttPort: number;
  port: number;
  broker?: string;
  claim: string[];
}

export function addSimCommands(program: Command): void {
  const sim = program
    .command('sim')
    .description('virtual cameras and a virtual center, for trials and for integrators');
  sim
    .command('camera')
    .description('ONVIF cameras that show an intersection with known ground truth, or a video file')
    .option('--count <n>', 'how many; each on the next address', whole, 1)
    .option('--address <ip>', 'address of the first', '127.0.0.11')
    .option('--onvif-port <port>', 'ONVIF', whole, 8000)
    .option('--rtsp-port <port>', 'RTSP over TCP', whole, 8554)
    .option('--username <name>', 'user name that the cameras ask for', 'admin')
    .option('--password-stdin', 'read their password from standard input (default: a random one, printed)')
    .option('--cache <dir>', 'where encoded footage is kept for the next start', '.bluelight-sim')
    .option('--source <file>', 'a video file instead of the intersection')
    .option('--seed <n>', 'of the scene', whole, 1)
    .option('--activity <share>', 'share of the time in which something moves, 0 to 1', Number, 0.4)
    .option('--loop <seconds>', 'length of the scene', whole, 60)
    .option('--night', 'the scene at night')
    .option('--order <order>', 'profiles main-first or sub-first', 'main-first')
    .option('--auth <kind>', 'SOAP takes digest, wsse or both', 'both')
    .option('--per-packet', 'write each RTP packet by itself, as a network delivers them')
    .option('--one-scene', 'the same scene for all, each at another time: quicker to make')
    .option('--codec <codec>', 'h264 or h265 main stream', 'h264')
    .option('--transport <kind>', 'RTP over tcp, udp or any', 'tcp')
    .option('--https', 'ONVIF over TLS with a self-signed certificate')
    .option('--channels <n>', 'video sources of each; more than one: a recorder', whole, 1)
    .option('--audio', 'a G.711 tone beside the video')
    .option('--relays <n>', 'relay outputs of each', whole, 0)
    .option('--inputs <n>', 'digital inputs of each', whole, 0)
    .option('--lock-out <n>', 'after this many wrong logins in a row nobody is let in for half an hour', whole)
    .option('--control-port <port>', 'switch faults over HTTP on 127.0.0.1 while it runs; 0: any free port', whole)
    .action(action(simCameras));
  sim
    .command('center')
    .description('a center: broker, upload receiver and a console page')
    .requiredOption('--dir <dir>', 'its keys, its database and what it receives')
    .option('--host <ip>', 'address to listen on', '127.0.0.1')
    .option('--mqtt-port <port>', 'of its broker; 0: any free one', whole, 0)
    .option('--port <port>', 'of console and uploads; 0: any free one', whole, 0)
    .option('--broker <url>', 'use this broker instead of its own')
    .option(
      '--claim <site/box=file>',
      'give out a claim for a box: file, QR text and code; may be given again',
      collect,
      [],
    )
    .action(action(simCenter));
}

function collect(text: string, before: string[]): string[] {
  return [...before, text];
}

function simLog(): { log: Log; redactor: Redactor } {
  const redactor = new Redactor();
  return { log: createLog({ redactor, level: process.env['BLUELIGHT_LOG'] ?? 'warn' }), redactor };
}

async function simCameras(context: Context, options: CameraOptions): Promise<void> {
  const { log, redactor } = simLog();
  const { clock, processes } = context;
  const password = options.passwordStdin === true ? await readSecret('password: ') : randomPassword();
  redactor.add(password);
  const { startVirtualCameras } = await import('../sim/camera/index.js');
  const cameras = Array.from({ length: options.count }, (_, i) => cameraOf(options, password, i));
  const running = await startVirtualCameras({ clock, processes, log, cacheDir: options.cache, cameras, controlPort: options.controlPort }); // prettier-ignore
  const told = running.cameras.map(({ id, address, xaddr, endpointReference, rtspPort }) => ({
    id,
    address,
    xaddr,
    endpointReference,
    rtspPort,
  }));
  if (context.json) {
    process.stdout.write(JSON.stringify({ cameras: told, controlPort: running.controlPort }) + '\n');
  } else {
    for (const camera of told) line(`${camera.id}  ${camera.xaddr}  rtsp://${camera.address}:${camera.rtspPort}`);
    if (running.controlPort !== undefined) line(`faults  http://127.0.0.1:${running.controlPort}/cameras`);
    line(
      options.passwordStdin === true ? `user ${options.username}` : `user ${options.username}  password ${password}`,
    );
  }
  await asked();
  await running.close();
}

function cameraOf(options: CameraOptions, password: string, index: number): VirtualCameraOptions {
  const scene = {
    seed: options.oneScene === true ? options.seed : options.seed + index,
    activity: options.activity,
    loopSeconds: options.loop,
    night: options.night,
  };
  const source: VideoSource =
    options.source === undefined ? { kind: 'scene', scene } : { kind: 'file', path: options.source };
  return {
    id: `sim-${index + 1}`,
    address: plus(options.address, index),
    onvifPort: options.onvifPort,
    rtspPort: options.rtspPort,
    username: options.username,
    password,
    source,
    offsetSeconds: options.oneScene === true ? (index * options.loop) / options.count : 0,
    profileOrder: options.order,
    soapAuth: options.auth,
    perPacketWrites: options.perPacket,
    main: { codec: options.codec },
    transport: options.transport,
    secure: options.https,
    channels: options.channels,
    audio: options.audio,
    relays: options.relays,
    inputs: options.inputs,
    lockOut: options.lockOut === undefined ? undefined : { after: options.lockOut, forMs: LOCK_MS },
  };
}

const LOCK_MS = 30 * 60_000;

/** The address `index` behind `address`. */
function plus(address: string, index: number): string {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw new BluelightError('USAGE', `"${address}" is not an IPv4 address`, { fix: 'give one such as 127.0.0.11' });
  }
  const value = parts.reduce((sum, part) => sum * 256 + part, 0) + index;
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

function randomPassword(): string {
  return randomBytes(9).toString('base64url');
}

async function simCenter(context: Context, options: CenterOptions): Promise<void> {
  const { log } = simLog();
  const { startVirtualCenter } = await import('../sim/center/index.js');
  const center = await startVirtualCenter({
    clock: context.clock,
    log,
    dir: options.dir,
    host: options.host,
    mqttPort: options.mqttPort,
    httpPort: options.port,
    broker: options.broker === undefined ? undefined : { url: options.broker },
  });
  const claims = options.claim.map((claim) => {
    const [, site, box, file] = /^([^/=]+)\/([^/=]+)=(.+)$/.exec(claim) ?? [];
    if (site === undefined || box === undefined || file === undefined) {
      throw new BluelightError('USAGE', `"${claim}" is not SITE/BOX=FILE`);
    }
    const issued = center.issue(site, box);
    writeFileSync(file, JSON.stringify(issued.file, null, 2), { mode: 0o600 });
    const { qr, code, address, fingerprint, expiresAt } = issued;
    return { site, box, file, qr, code, address, fingerprint, expiresAt };
  });
  const ready = { console: center.consoleUrl, broker: center.brokerUrl, upload: center.uploadUrl };
  if (context.json) process.stdout.write(JSON.stringify({ ...ready, claims }) + '\n');
  else {
    for (const [name, url] of Object.entries(ready)) line(`${name.padEnd(8)} ${url}`);
    for (const claim of claims) {
      line('');
      line(`claim    ${claim.site}/${claim.box}, good until ${claim.expiresAt} and once`);
      line(`  file   ${claim.file}`);
      line(`  QR     ${claim.qr}`);
      line(`  code   ${claim.code}  at ${claim.address}, fingerprint ${claim.fingerprint}`);
    }
  }
  await asked();
  await center.close();
}

/** Until somebody wants it to end. */
async function asked(): Promise<void> {
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
}
