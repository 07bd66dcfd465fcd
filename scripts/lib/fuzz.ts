import { systemClock } from '../../src/base/clock.js';
import { BluelightError, errorMessage } from '../../src/base/errors.js';
import { silentLog } from '../../src/base/log.js';
import type { Login } from '../../src/cameras/driver.js';
import { onvifDriver } from '../../src/cameras/onvif-driver.js';
import { nodeOnvifVoice, onvifVoice } from '../../src/cameras/voices.js';
import { nativeEngine } from '../../src/ingest/native/native.js';
import { parseSource } from '../../src/ingest/source.js';
import { hostileOnvif, hostileResponder, hostileRtsp, type HostilePeer } from './hostile-peers.js';
import { seeded, type Random } from './random.js';
import { Destinations, LagWatch } from './watchers.js';

export interface FuzzResult {
  /** Damaged messages by protocol. */
  sent: Record<'soap' | 'rtsp' | 'discovery', number>;
  lagMs: number;
  problems: string[];
}

/** Of this process alone: several campaigns may run at a time. */
const HOST = `127.0.63.${String(1 + (process.pid % 250))}`;
const GOOD = 'urn:uuid:00000000-0000-4000-8000-0000000000aa';
/** What may be said of a camera that talks nonsense. */
const CODES = /^(?:CAMERA_(?:INVALID|REFUSED|UNREACHABLE|NO_EVENTS)|RELAY_(?:UNKNOWN|STUCK))$/;
const ENDS = new Set(['stopped', 'refused', 'offline', 'stalled', 'invalid', 'unsupported']);
export const MAX_LAG_MS = 100;
/** To each probe; more would overflow the socket of a process that waits for the processor. */
const ANSWERS = 20;
const SEARCH_ROUNDS = 5;

/** Sends at least `count` damaged messages, a third by each protocol, to the real clients of them. */
export async function fuzz(count: number, seed: number, untilMs = Number.POSITIVE_INFINITY): Promise<FuzzResult> {
  const random = seeded(seed);
  const share = Math.ceil(count / 3);
  const problems: string[] = [];
  const crash = (error: unknown): void => void problems.push(`crash: ${errorMessage(error)}`);
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  const destinations = new Destinations();
  const [soap, rtsp] = [await hostileOnvif(HOST, random), await hostileRtsp(HOST, random)];
  const responder = await hostileResponder(HOST, GOOD, random, ANSWERS);
  const lag = new LagWatch();
  const goOn = (peer: HostilePeer) => (): boolean =>
    peer.sent() < share && Date.now() < untilMs && problems.length < 20;
  try {
    await Promise.all(Array.from({ length: 6 }, () => soapLoop(soap, random, goOn(soap), problems)));
    await Promise.all(Array.from({ length: 4 }, () => rtspLoop(rtsp, goOn(rtsp), problems)));
    await discoveryLoop(goOn(responder), problems);
  } finally {
    lag.close();
    destinations.close();
    for (const peer of [soap, rtsp, responder]) peer.close();
    process.off('uncaughtException', crash);
    process.off('unhandledRejection', crash);
  }
  const elsewhere = destinations.others(
    (host) => host === HOST || host === '239.255.255.250' || host.startsWith('127.'),
  );
  for (const host of elsewhere) problems.push(`a connection to ${host}`);
  if (lag.worstMs >= MAX_LAG_MS) problems.push(`the event loop stood still for ${Math.round(lag.worstMs)} ms`);
  const sent = { soap: soap.sent(), rtsp: rtsp.sent(), discovery: responder.sent() };
  return { sent, lagMs: lag.worstMs, problems };
}

async function soapLoop(peer: HostilePeer, random: Random, goOn: () => boolean, problems: string[]): Promise<void> {
  const driver = onvifDriver(systemClock(), silentLog);
  const endpoint = { host: HOST, port: peer.port, path: '/onvif/device_service', secure: false };
  const login: Login = { username: 'admin', password: 'x'.repeat(8) };
  const listen = async (): Promise<void> => {
    const events = await driver.events(endpoint, login);
    try {
      await events.synchronise();
      await events.pull(1_000);
      await events.renew();
    } finally {
      await events.unsubscribe();
    }
  };
  const work = [
    () => driver.greet(endpoint),
    () => driver.connect(endpoint, login),
    () => driver.identify(endpoint, login),
    () => driver.io(endpoint, login),
    listen,
    () => driver.setSubGop(endpoint, login, 'sub', 1),
    () => driver.setClock(endpoint, login, Date.now()),
  ];
  while (goOn()) {
    try {
      await random.pick(work)();
    } catch (error) {
      const code = error instanceof BluelightError ? error.code : 'none';
      if (!CODES.test(code)) problems.push(`SOAP: ${code}: ${errorMessage(error)}`);
    }
  }
}

async function rtspLoop(peer: HostilePeer, goOn: () => boolean, problems: string[]): Promise<void> {
  const engine = nativeEngine({ clock: systemClock(), maxAccessUnitBytes: 1_000_000, responseMs: 300, paceMs: 0 });
  const nothing = (): undefined => undefined;
  const events = { accepted: nothing, parameterSets: nothing, picture: nothing, received: nothing, lost: nothing };
  const url = parseSource(`rtsp://${HOST}:${String(peer.port)}/x`);
  while (goOn()) {
    const session = engine.open({ stream: 'fuzz.main', url, username: 'admin', password: 'x' }, events);
    const patience = setTimeout(() => session.stop(), 2_000);
    const end = await session.ended;
    clearTimeout(patience);
    if (!ENDS.has(end.cause)) problems.push(`RTSP: ${end.cause}: ${end.detail}`);
  }
}

/**
 * Both packages in turn. The good camera among the bad answers has to be heard: not each time, since a socket overflows
 * when others answer the same probe, but within as many rounds as a search has.
 */
async function discoveryLoop(goOn: () => boolean, problems: string[]): Promise<void> {
  const link = { name: 'lo', address: '127.0.0.1', netmask: '255.0.0.0' };
  const first = onvifVoice(() => undefined);
  const second = nodeOnvifVoice(systemClock());
  let missed = 0;
  for (let i = 0; goOn(); i++) {
    let heard = false;
    const [voice, ms] = i % 10 === 9 ? ([second, 1_500] as const) : ([first, 250] as const);
    await voice(link, ms, (one) => {
      heard ||= one.endpointReference === GOOD && one.sender === HOST;
    });
    missed = heard ? 0 : missed + 1;
    if (missed === SEARCH_ROUNDS) problems.push(`discovery: the good camera was not heard (probe ${i})`);
  }
}
