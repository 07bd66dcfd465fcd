import type { Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { Camera, CameraStream, Credentials } from '../contract/camera.js';
import type { CameraTestBody } from '../contract/http.js';
import { inspect } from './adopt-rtsp.js';
import type { CameraDriver, ConnectedDevice } from './driver.js';
import { fetchFile } from './http-digest.js';
import { endpointOf } from './locate.js';
import { describeStream } from './rtsp-check.js';

export type TestStep = CameraTestBody['steps'][number];

export interface CheckDeps {
  clock: Clock;
  basicLogin?: readonly string[];
  driver: CameraDriver;
}

/** Beyond this, cameras refuse logins that carry a time, and footage bears a wrong one where it is burnt in. */
const CLOCK_WARN_MS = 5_000;
export const MAX_SNAPSHOT_BYTES = 16 * 1024 * 1024;

export interface CheckResult extends CameraTestBody {
  /** How the login went; undefined if it did not come to one. */
  login: 'accepted' | 'refused' | undefined;
}

/** Checks a camera step by step; a step that fails for the password stops all that would log in again. */
export async function checkCamera(deps: CheckDeps, camera: Camera, credentials: Credentials): Promise<CheckResult> {
  const steps: TestStep[] = [];
  const { run, refused } = stepRunner(deps.clock, steps);
  if (camera.device.xaddr === '') return checkStreams(deps, camera, credentials, steps, { run, refused });
  const endpoint = endpointOf(camera.device);
  const device: { connected?: ConnectedDevice } = {};
  await run('reach', async () => {
    await deps.driver.greet(endpoint);
    return `ONVIF answers at ${endpoint.host}:${String(endpoint.port)}`;
  });
  await run('login', async () => {
    device.connected = await deps.driver.connect(endpoint, credentials);
    const { make, model, firmware } = device.connected.info;
    return `logged in; ${make} ${model}, firmware ${firmware}`.replace(/\s+/g, ' ');
  });
  const { connected } = device;
  if (connected !== undefined) {
    await run('clock', () => checkClock(connected.clockOffsetMs));
    await run('identity', () => checkIdentity(camera, connected));
    await run('main stream', () => checkStream(deps, camera, camera.main, connected, credentials));
    const { sub } = camera;
    if (sub !== null) await run('sub stream', () => checkStream(deps, camera, sub, connected, credentials));
    await run('snapshot', () => checkSnapshot(deps, camera, connected, credentials));
  }
  const login = refused() ? 'refused' : connected === undefined ? undefined : 'accepted';
  return { ok: steps.every((step) => step.ok), steps, login };
}

/** Of a camera that was added by its stream addresses alone. */
async function checkStreams(
  deps: CheckDeps,
  camera: Camera,
  credentials: Credentials,
  steps: TestStep[],
  { run, refused }: ReturnType<typeof stepRunner>,
): Promise<CheckResult> {
  for (const [name, stream] of [
    ['main stream', camera.main],
    ['sub stream', camera.sub],
  ] as const) {
    if (stream === null) continue;
    await run(name, async () => {
      const { codec, width, height } = await inspect(deps, stream.uri, camera.device.address, credentials);
      return `${codec.toUpperCase()} ${String(width)}x${String(height)}`;
    });
  }
  const ok = steps.every((step) => step.ok);
  return { ok, steps, login: refused() ? 'refused' : ok ? 'accepted' : undefined };
}

type Step = () => string | Promise<string>;

/** Runs steps until one fails in a way that makes the rest senseless or harmful. */
function stepRunner(
  clock: Clock,
  steps: TestStep[],
): { run: (name: string, step: Step) => Promise<void>; refused: () => boolean } {
  let refused = false;
  let over = false;
  const run = async (name: string, step: Step): Promise<void> => {
    if (over) return;
    const start = clock.monotonic();
    const ms = (): number => Math.round(clock.monotonic() - start);
    try {
      const detail = await step();
      steps.push({ name, ok: true, detail, fix: null, ms: ms() });
    } catch (error) {
      const known = error instanceof BluelightError ? error : undefined;
      refused ||= known?.code === 'CAMERA_REFUSED';
      over = refused || known?.code === 'CAMERA_CERTIFICATE';
      steps.push({ name, ok: false, detail: errorMessage(error), fix: known?.fix ?? null, ms: ms() });
    }
  };
  return { run, refused: () => refused };
}

function checkClock(offsetMs: number | null): string {
  if (offsetMs === null) return 'the camera does not tell its time';
  const seconds = (offsetMs / 1000).toFixed(1);
  if (Math.abs(offsetMs) <= CLOCK_WARN_MS) return `${seconds} s beside the box`;
  throw new BluelightError('CAMERA_CLOCK', `the camera's clock is ${seconds} s beside that of the box`, {
    fix: 'set the camera to take its time by NTP from the box or the network',
  });
}

function checkIdentity(camera: Camera, connected: ConnectedDevice): string {
  const { serial, mac } = connected.info;
  const same = serial === camera.device.serial && (mac === '' || camera.device.mac === '' || mac === camera.device.mac);
  if (same) return `serial ${serial === '' ? 'not given' : serial}`;
  throw new BluelightError('CAMERA_OTHER', `another device answers at this address (serial ${serial})`, {
    fix: 'if the camera was replaced, add the new one; if its address changed, search again',
  });
}

async function checkStream(
  deps: CheckDeps,
  camera: Camera,
  stream: CameraStream,
  connected: ConnectedDevice,
  credentials: Credentials,
): Promise<string> {
  const offers = connected.channels.find((channel) => channel.source === camera.channel)?.offers ?? [];
  const now = offers.find((offer) => offer.profile === stream.profile);
  const uri = now?.uri ?? stream.uri;
  const description = await describeStream(deps, uri, credentials);
  if (!/^m=video /m.test(description)) {
    throw new BluelightError('CAMERA_INVALID', 'the stream has no video in it', { fix: 'choose another profile' });
  }
  const codec = /^a=rtpmap:\d+ (H26[45])\//im.exec(description)?.[1]?.toUpperCase() ?? 'unknown codec';
  const size = now === undefined ? '' : ` ${String(now.width)}x${String(now.height)}`;
  if (now !== undefined && (now.width !== stream.width || now.height !== stream.height || now.uri !== stream.uri)) {
    throw new BluelightError('CAMERA_CHANGED', `the stream has changed to ${codec}${size} at ${uri}`, {
      fix: 'add the camera again to take over its new settings; its id and footage stay',
    });
  }
  return `${codec}${size}`;
}

async function checkSnapshot(
  deps: CheckDeps,
  camera: Camera,
  connected: ConnectedDevice,
  credentials: Credentials,
): Promise<string> {
  const uri = await connected.snapshotUri(camera.main.profile);
  if (uri === undefined) return 'the camera offers none';
  const { type, bytes } = await fetchFile(deps, uri, credentials, MAX_SNAPSHOT_BYTES, camera.device.certificate);
  return `${type}, ${String(Math.round(bytes.length / 1000))} kB`;
}
