import onvif, { type Cam } from 'onvif';
import { withDeadline, type Clock } from '../base/clock.js';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Credentials } from '../contract/camera.js';
import { pinToHost, type Endpoint } from './addresses.js';
import type { CameraDriver, ChannelOffer, ConnectedDevice } from './driver.js';
import {
  readCameraTime,
  readDeviceInfo,
  readMac,
  readProfiles,
  readServicePaths,
  readUri,
  type ProfileOffer,
} from './onvif-replies.js';
import type { StreamOffer } from './pick-streams.js';
import { guardedAgent } from './reply-guard.js';
import { descendants, parseXml, type XmlNode } from './xml.js';

const CALL_MS = 8_000;
/** Cameras take a login whose time is off by up to about 5 s; a smaller step of their clock cannot be why they refused. */
const CLOCK_STEP_MS = 3_000;

/** What the driver sets on the package's object beyond its published types. */
interface CamInternals {
  uri?: Record<string, { path: string }>;
  media2Support?: boolean;
  timeShift?: number;
}

type Reply = (error: Error | null, data?: unknown, xml?: string, status?: number) => void;

/** ONVIF through the package `onvif`: it speaks SOAP and both ways of logging in, we read the replies. */
export function onvifDriver(clock: Clock, log: Log): CameraDriver {
  return {
    async greet(endpoint) {
      const session = new Session(endpoint, undefined, clock, log);
      try {
        return { clockOffsetMs: await session.readTime() };
      } finally {
        session.close();
      }
    },
    async connect(endpoint, credentials) {
      const session = new Session(endpoint, credentials, clock, log);
      try {
        return await session.connect();
      } finally {
        session.close();
      }
    },
  };
}

class Session {
  readonly #cam: Cam;
  /** The same object. */
  readonly #inside: CamInternals;
  readonly #agent: ReturnType<typeof guardedAgent>;
  /** Ends the call that runs. */
  #fail: (error: BluelightError) => void = () => undefined;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly credentials: Credentials | undefined,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    const { host, port, path, secure } = endpoint;
    this.#agent = guardedAgent(secure, () => {
      this.#fail(new BluelightError('CAMERA_INVALID', 'the camera sent far more than an answer'));
    });
    this.#cam = new onvif.Cam({
      hostname: host,
      port,
      path,
      useSecure: secure,
      // Cameras have self-signed certificates; the password itself never crosses the line, only digests of it.
      secureOpts: { rejectUnauthorized: false },
      username: credentials?.username,
      password: credentials?.password,
      useWSSecurity: credentials !== undefined && fitsToken(credentials),
      timeout: CALL_MS,
      agent: this.#agent,
      autoconnect: false,
    });
    this.#inside = this.#cam as unknown as CamInternals;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The camera's clock minus ours. It must be known before any login with a time in it. */
  async readTime(): Promise<number | null> {
    // The package computes its shift only once and keeps a wrong one for good.
    delete this.#inside.timeShift;
    const before = this.clock.now();
    const reply = await this.#call('clock', (done) => this.#cam.getSystemDateAndTime(done));
    const time = readCameraTime(reply);
    if (time === undefined) return null;
    // Cameras tell whole seconds: the true time lies on average half a second later.
    return Math.round(time + 500 - (before + this.clock.now()) / 2);
  }

  async connect(): Promise<ConnectedDevice> {
    const { offset, info } = await this.#login();
    await this.#findServices();
    const mac = await this.#mac();
    const channels = await this.#channels();
    return {
      info: { ...info, mac },
      clockOffsetMs: offset,
      channels,
      snapshotUri: (profile) => this.#snapshotUri(profile),
    };
  }

  async #login(): Promise<{ offset: number | null; info: ReturnType<typeof readDeviceInfo> }> {
    let offset = await this.readTime();
    const ask = async (): Promise<ReturnType<typeof readDeviceInfo>> =>
      readDeviceInfo(await this.#call('login', (done) => this.#cam.getDeviceInformation(done)));
    try {
      return { offset, info: await ask() };
    } catch (error) {
      if (errorCode(error) !== 'CAMERA_REFUSED') throw error;
      const again = await this.readTime();
      if (offset === null || again === null || Math.abs(again - offset) < CLOCK_STEP_MS) throw error;
      offset = again;
      return { offset, info: await ask() };
    }
  }

  async #findServices(): Promise<void> {
    let paths: ReturnType<typeof readServicePaths> = {};
    try {
      paths = readServicePaths(await this.#call('services', (done) => this.#cam.getServices(false, done)));
    } catch (error) {
      // Devices older than GetServices know only GetCapabilities.
      this.#rethrowIfFatal(error, 'GetServices');
    }
    if (paths.media === undefined && paths.media2 === undefined) {
      paths = readServicePaths(await this.#call('services', (done) => this.#cam.getCapabilities(done)));
    }
    const { path } = this.endpoint;
    const services = Object.entries(paths).map(([name, found]) => [name, { path: found }] as const);
    this.#inside.uri = { ...Object.fromEntries(services), device: { path } };
    this.#inside.media2Support = paths.media2 !== undefined;
  }

  async #mac(): Promise<string> {
    try {
      return readMac(await this.#call('network', (done) => this.#cam.getNetworkInterfaces(done)));
    } catch (error) {
      this.#rethrowIfFatal(error, 'GetNetworkInterfaces');
      return '';
    }
  }

  async #channels(): Promise<ChannelOffer[]> {
    const sources = new Map<string, StreamOffer[]>();
    for (const { source, ...profile } of await this.#profiles()) {
      const uri = await this.#streamUri(profile.profile);
      if (uri === undefined) continue;
      sources.set(source, [...(sources.get(source) ?? []), { ...profile, uri }]);
    }
    return [...sources].map(([source, offers]) => ({ source, offers }));
  }

  /** Media2 first, since H.265 is invisible in Media1; then Media1, since some cameras' Media2 is broken. */
  async #profiles(): Promise<ProfileOffer[]> {
    if (this.#inside.media2Support === true) {
      try {
        const profiles = readProfiles(await this.#call('profiles', (done) => this.#cam.getProfiles(done)));
        if (profiles.length > 0) return profiles;
      } catch (error) {
        this.#rethrowIfFatal(error, 'Media2 GetProfiles');
      }
      if (this.#inside.uri?.['media'] === undefined) return [];
      this.#inside.media2Support = false;
    }
    return readProfiles(await this.#call('profiles', (done) => this.#cam.getProfiles(done)));
  }

  async #streamUri(profileToken: string): Promise<string | undefined> {
    const token = escapeXml(profileToken);
    try {
      const reply = await this.#call('stream', (done) =>
        this.#cam.getStreamUri({ protocol: 'RTSP', profileToken: token }, done),
      );
      const uri = readUri(reply);
      return uri === undefined ? undefined : pinToHost(uri, this.endpoint.host, ['rtsp']);
    } catch (error) {
      this.#rethrowIfFatal(error, `GetStreamUri of ${profileToken}`);
      return undefined;
    }
  }

  async #snapshotUri(profileToken: string): Promise<string | undefined> {
    const token = escapeXml(profileToken);
    const reply = await this.#call('snapshot', (done) => this.#cam.getSnapshotUri({ profileToken: token }, done));
    const uri = readUri(reply);
    return uri === undefined ? undefined : pinToHost(uri, this.endpoint.host, ['http', 'https']);
  }

  /** A refusal or a dead connection ends it all; one call that a device does not know does not. */
  #rethrowIfFatal(error: unknown, what: string): void {
    const code = errorCode(error);
    if (code === 'CAMERA_REFUSED' || code === 'CAMERA_UNREACHABLE') throw error;
    this.log.debug({ what, reason: errorMessage(error) }, 'the camera does not answer this call');
  }

  /** One SOAP call, with a deadline and a bound on its size. Resolves with the reply's body. */
  async #call(step: string, start: (done: Reply) => void): Promise<XmlNode> {
    const reply = new Promise<XmlNode>((resolve, reject) => {
      this.#fail = reject;
      start((error, _data, xml, status) => {
        try {
          resolve(bodyOf(xml, error, status));
        } catch (problem) {
          const known = problem instanceof BluelightError;
          reject(known ? problem : new BluelightError('CAMERA_INVALID', errorMessage(problem)));
        }
      });
    });
    const late = (): BluelightError => unreachable(`did not answer within ${String(CALL_MS / 1000)} s (${step})`);
    return withDeadline(this.clock, CALL_MS, reply, late);
  }
}

/** The package puts names unescaped into XML and hashes passwords as ASCII: for others only HTTP digest works. */
function fitsToken({ username, password }: Credentials): boolean {
  return /^[\x20-\x7e]*$/.test(password) && !/[<>&]/.test(username);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/**
 * The body of a SOAP reply. The package reports an error also where it merely could not make sense of a good reply;
 * then the text still counts.
 */
function bodyOf(xml: string | undefined, error: Error | null, status: number | undefined): XmlNode {
  const body = typeof xml === 'string' ? descendants(parseXml(xml), 'Body')[0] : undefined;
  const fault = body?.children.find((one) => one.name === 'Fault');
  if (body !== undefined && fault === undefined && body.children.length > 0) return body;
  throw complaint(fault, error, status);
}

function complaint(fault: XmlNode | undefined, error: Error | null, status: number | undefined): BluelightError {
  const said =
    fault === undefined
      ? ''
      : descendants(fault, 'Value')
          .map((one) => one.text)
          .join(' ');
  const text = fault === undefined ? '' : (descendants(fault, 'Text')[0]?.text ?? '');
  const message = `${said} ${text} ${error?.message ?? ''}`;
  if (
    status === 401 ||
    /not\s*authori[sz]ed|authority failure|unauthori[sz]ed|Digest auth\w* .*401|\b401\b/i.test(message)
  ) {
    return new BluelightError('CAMERA_REFUSED', 'the camera refused user name and password', {
      fix: 'check both on the camera itself; after some wrong logins it locks itself for about half an hour',
    });
  }
  const code = errorCode(error);
  if (code !== undefined || /Network timeout|socket hang up/i.test(message)) {
    return unreachable(code === undefined ? 'did not answer' : connectionWords(code), error);
  }
  const reason = `${text} ${said}`.trim().slice(0, 200) || (error?.message ?? 'an empty reply');
  return new BluelightError('CAMERA_INVALID', `the camera answered: ${reason}`, { cause: error });
}

function connectionWords(code: string): string {
  if (code === 'ECONNREFUSED') return 'refuses connections on this port (ECONNREFUSED)';
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return `cannot be reached (${code})`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `has no known address (${code})`;
  return `broke the connection (${code})`;
}

function unreachable(what: string, cause?: unknown): BluelightError {
  return new BluelightError('CAMERA_UNREACHABLE', `the camera ${what}`, {
    fix: 'check that it has power and network, that ONVIF is switched on, and the port',
    retryable: true,
    cause,
  });
}
