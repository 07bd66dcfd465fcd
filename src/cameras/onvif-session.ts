import onvif, { type Cam } from 'onvif';
import { withDeadline, type Clock } from '../base/clock.js';
import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Credentials } from '../contract/camera.js';
import type { Endpoint } from './addresses.js';
import type { Login } from './driver.js';
import { readCameraTime, readDeviceInfo, readServices, type ServiceName, type ServicePlace } from './onvif-replies.js';
import { guardedAgent } from './reply-guard.js';
import { descendants, parseXml, type XmlNode } from './xml.js';

const DEVICE = 'http://www.onvif.org/ver10/device/wsdl';
const CALL_MS = 8_000;
/** Cameras take a login whose time is off by up to about 5 s; a smaller step of their clock cannot be why they refused. */
const CLOCK_STEP_MS = 3_000;

/** What is set and used of the package's object beyond its published types. */
interface CamInternals {
  timeShift?: number;
  _envelopeHeader(open?: boolean): string;
  _envelopeFooter(): string;
  _request(options: object, done: Reply): void;
}

type Reply = (error: Error | null, data?: unknown, xml?: string) => void;

/** A SOAP request of ours, for what the package does not offer or gets wrong. */
export interface Ask {
  step: string;
  place: ServicePlace;
  /** SOAP action (WS-Addressing), with the namespace of the service. */
  action: string;
  body: string;
  /** Elements for the SOAP header. */
  header?: string;
  /** How long the camera may take on purpose. */
  waitMs?: number;
}

/** A conversation with one device: SOAP and both ways of logging in by the package `onvif`, read by us. */
export class OnvifSession {
  readonly cam: Cam;
  /** The same object. */
  readonly #inside: CamInternals;
  readonly #agent: ReturnType<typeof guardedAgent>;
  /** Ends the call that runs. */
  #fail: (error: BluelightError) => void = () => undefined;
  #services: Partial<Record<ServiceName, ServicePlace>> = {};
  #media2 = false;
  /** HTTP status of the newest answer; the package keeps it to itself for most calls. */
  #status: number | undefined;

  constructor(
    readonly endpoint: Endpoint,
    private readonly credentials: Login | undefined,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    const { host, port, path, secure } = endpoint;
    this.#agent = guardedAgent(endpoint, (error) => this.#fail(error));
    this.cam = new onvif.Cam({
      hostname: host,
      port,
      path,
      useSecure: secure,
      // Cameras have self-signed certificates: the agent compares them with the one that was pinned.
      secureOpts: { rejectUnauthorized: false },
      username: credentials?.username,
      password: credentials?.password,
      useWSSecurity: credentials !== undefined && fitsToken(credentials),
      timeout: CALL_MS,
      agent: this.#agent.agent,
      autoconnect: false,
    });
    this.#inside = this.cam as unknown as CamInternals;
    this.cam.on('rawResponse', (_xml: string, status: number) => (this.#status = status));
  }

  /** SHA-256 of the certificate that the device showed last; undefined without TLS. */
  get certificate(): string | undefined {
    return this.#agent.certificate();
  }

  get media2(): boolean {
    return this.#media2;
  }

  /** Media1 from now on: some cameras' Media2 is broken. False if there is none. */
  useMedia1(): boolean {
    if (this.#services.media === undefined) return false;
    this.#media2 = false;
    return true;
  }

  service(name: ServiceName): ServicePlace | undefined {
    return this.#services[name];
  }

  close(): void {
    this.#agent.agent.destroy();
  }

  /** The camera's clock minus ours. It must be known before any login with a time in it. */
  async readTime(): Promise<number | null> {
    // The package computes its shift only once and keeps a wrong one for good.
    delete this.#inside.timeShift;
    const before = this.clock.now();
    const reply = await this.call('clock', (done) => this.cam.getSystemDateAndTime(done));
    const time = readCameraTime(reply);
    if (time === undefined) return null;
    // Cameras tell whole seconds: the true time lies on average half a second later.
    return Math.round(time + 500 - (before + this.clock.now()) / 2);
  }

  /** Logs in; once more if the device's clock has moved between asking for it and the login. */
  async login(): Promise<{ offset: number | null; info: ReturnType<typeof readDeviceInfo> }> {
    let offset = await this.readTime();
    const ask = async (): Promise<ReturnType<typeof readDeviceInfo>> => {
      const reply = await this.call('login', (done) => this.cam.getDeviceInformation(done));
      this.credentials?.accepted?.();
      return readDeviceInfo(reply);
    };
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

  async findServices(): Promise<void> {
    let found: Partial<Record<ServiceName, ServicePlace>> = {};
    try {
      const body = '<IncludeCapability>false</IncludeCapability>';
      found = readServices(await this.askDevice('GetServices', body), this.endpoint);
    } catch (error) {
      // Devices older than GetServices know only GetCapabilities.
      this.rethrowIfFatal(error, 'GetServices');
    }
    if (found.media === undefined && found.media2 === undefined) {
      found = readServices(await this.askDevice('GetCapabilities', '<Category>All</Category>'), this.endpoint);
    }
    const { path, port } = this.endpoint;
    this.#services = { ...found, device: { path, port } };
    this.#media2 = found.media2 !== undefined;
  }

  /** A refusal or a dead connection ends it all; one call that a device does not know does not. */
  rethrowIfFatal(error: unknown, what: string): void {
    const code = errorCode(error);
    if (code === 'CAMERA_REFUSED' || code === 'CAMERA_UNREACHABLE' || code === 'CAMERA_CERTIFICATE') throw error;
    this.log.debug({ what, reason: errorMessage(error) }, 'the camera does not answer this call');
  }

  /** A call of the device service, read by us alone: the package takes replies apart and may fail outside of our reach. */
  askDevice(action: string, inside = ''): Promise<XmlNode> {
    const { path, port } = this.endpoint;
    const body = `<${action} xmlns="${DEVICE}">${inside}</${action}>`;
    return this.ask({ step: action, place: { path, port }, action: `${DEVICE}/${action}`, body });
  }

  /** A request to the camera itself, whatever host it named for the service. */
  ask({ step, place, action, body, header = '', waitMs = 0 }: Ask): Promise<XmlNode> {
    const inside = this.#inside;
    const envelope = `${inside._envelopeHeader(true)}${header}</s:Header><s:Body>${body}${inside._envelopeFooter()}`;
    const { host } = this.endpoint;
    const patience = CALL_MS + waitMs;
    const { path, port } = place;
    const url = { hostname: host, path, port, agent: this.#agent.agent, timeout: patience };
    return this.call(step, (done) => inside._request({ url, action, body: envelope, replyTimeout: patience }, done), patience); // prettier-ignore
  }

  /** One SOAP call, with a deadline and a bound on its size. Resolves with the reply's body. */
  async call(step: string, start: (done: Reply) => void, patience = CALL_MS): Promise<XmlNode> {
    const reply = new Promise<XmlNode>((resolve, reject) => {
      this.#fail = reject;
      this.#status = undefined;
      start((error, _data, xml) => {
        try {
          // The clock is asked for without a login: who forbids that has refused none.
          resolve(bodyOf(xml, error, step === 'clock' && this.#status === 403 ? undefined : this.#status));
        } catch (problem) {
          const known = problem instanceof BluelightError;
          reject(known ? problem : new BluelightError('CAMERA_INVALID', errorMessage(problem)));
        }
      });
    });
    const late = (): BluelightError => unreachable(`did not answer within ${String(patience / 1000)} s (${step})`);
    return withDeadline(this.clock, patience, reply, late);
  }
}

/** The package puts names unescaped into XML and hashes passwords as ASCII: for others only HTTP digest works. */
function fitsToken({ username, password }: Credentials): boolean {
  return /^[\x20-\x7e]*$/.test(password) && !/[<>&]/.test(username);
}

export function escapeXml(text: string): string {
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
    status === 403 ||
    /not\s*authori[sz]ed|authority failure|unauthori[sz]ed|Digest auth\w* .*401|\b401\b/i.test(message)
  ) {
    return new BluelightError('CAMERA_REFUSED', 'the camera refused user name and password', {
      fix: 'check both on the camera itself; after some wrong logins it locks itself for about half an hour',
    });
  }
  // Our own, such as a certificate that changed.
  if (error instanceof BluelightError) return error;
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
