import { once } from 'node:events';
import { connect } from 'node:net';
import { systemClock } from '../../src/base/clock.js';
import { BluelightError, errorMessage } from '../../src/base/errors.js';
import { silentLog } from '../../src/base/log.js';
import type { Login } from '../../src/cameras/driver.js';
import { onvifDriver } from '../../src/cameras/onvif-driver.js';
import { fetchFile } from '../../src/cameras/http-digest.js';
import { describeStream } from '../../src/cameras/rtsp-check.js';
import { readTraits } from '../../src/cameras/stream-traits.js';
import { referenceAt } from '../../src/cameras/unicast-probe.js';
import { nodeOnvifVoice, onvifVoice } from '../../src/cameras/voices.js';
import { nativeEngine } from '../../src/ingest/native/native.js';
import { RedirectGuard } from '../../src/ingest/redirect-guard.js';
import { parseSource } from '../../src/ingest/source.js';
import { hostileOnvif, hostileResponder, hostileRtsp, type HostilePeer } from './hostile-peers.js';
import { FOREIGN } from './mutate.js';
import { seeded, type Random } from './random.js';
import { Destinations, LagWatch } from './watchers.js';

export interface FuzzResult {
  /** Damaged messages by protocol. */
  sent: Record<'soap' | 'rtsp' | 'discovery', number>;
  /** How often each client of theirs was run. */
  runs: Record<Client, number>;
  lagMs: number;
  problems: string[];
}

const CLIENTS = ['onvif', 'snapshot', 'native h264', 'native h265', 'rtsp check', 'rtsp traits', 'relay', 'search', 'directed probe'] as const; // prettier-ignore
export type Client = (typeof CLIENTS)[number];
type Runs = Record<Client, number>;

/** Of this process alone: several campaigns may run at a time. */
const HOST = `127.0.63.${String(1 + (process.pid % 250))}`;
const MULTICAST = '239.255.255.250';
const RELAY = '127.0.0.1';
const GOOD = 'urn:uuid:00000000-0000-4000-8000-0000000000aa';
/** What may be said of a camera that talks nonsense. */
const CODES = /^(?:CAMERA_(?:INVALID|REFUSED|UNREACHABLE|NO_EVENTS)|RELAY_(?:UNKNOWN|STUCK))$/;
const ENDS = new Set(['stopped', 'refused', 'offline', 'stalled', 'invalid', 'unsupported', 'unfit']);
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
  const soap = await hostileOnvif(HOST, random);
  const rtsp = [await hostileRtsp(HOST, random, 'h264'), await hostileRtsp(HOST, random, 'h265')] as const;
  const runs = Object.fromEntries(CLIENTS.map((client) => [client, 0])) as Runs;
  const responder = await hostileResponder(HOST, GOOD, random, ANSWERS);
  // The answers of the peers are theirs, not ours.
  const destinations = new Destinations();
  const lag = new LagWatch();
  const goOn =
    (peer: HostilePeer, most = share) =>
    (): boolean =>
      peer.sent() < most && Date.now() < untilMs && problems.length < 20;
  try {
    await Promise.all(Array.from({ length: 6 }, () => soapLoop(soap, random, goOn(soap), runs, problems)));
    const half = Math.ceil(share / 2);
    await Promise.all(Array.from({ length: 4 }, (_, i) => rtspLoop(rtsp[i % 2]!, (['h264', 'h265'] as const)[i % 2]!, random, goOn(rtsp[i % 2]!, half), runs, problems))); // prettier-ignore
    await discoveryLoop(goOn(responder), runs, problems);
  } finally {
    lag.close();
    destinations.close();
    for (const peer of [soap, ...rtsp, responder]) peer.close();
    process.off('uncaughtException', crash);
    process.off('unhandledRejection', crash);
  }
  const elsewhere = destinations.others((host) => [HOST, MULTICAST, RELAY].includes(host));
  // The relay is talked to here, by us alone.
  if ((destinations.seen.get(RELAY) ?? 0) > runs.relay) elsewhere.push(RELAY);
  for (const client of CLIENTS) if (runs[client] === 0) problems.push(`${client} was not tried`);
  for (const host of elsewhere) problems.push(`a connection to ${host}`);
  if (lag.worstMs >= MAX_LAG_MS) problems.push(`the event loop stood still for ${Math.round(lag.worstMs)} ms`);
  const sent = { soap: soap.sent(), rtsp: rtsp[0].sent() + rtsp[1].sent(), discovery: responder.sent() };
  return { sent, runs, lagMs: lag.worstMs, problems };
}

async function soapLoop(
  peer: HostilePeer,
  random: Random,
  goOn: () => boolean,
  runs: Runs,
  problems: string[],
): Promise<void> {
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
    () => (
      runs.snapshot++,
      fetchFile({ clock: systemClock() }, `http://${HOST}:${String(peer.port)}/snapshot`, login, 10_000)
    ),
  ];
  while (goOn()) {
    runs.onvif++;
    try {
      await random.pick(work)();
    } catch (error) {
      const code = error instanceof BluelightError ? error.code : 'none';
      if (!CODES.test(code)) problems.push(`SOAP: ${code}: ${errorMessage(error)}`);
    }
  }
}

async function rtspLoop(
  peer: HostilePeer,
  codec: 'h264' | 'h265',
  random: Random,
  goOn: () => boolean,
  runs: Runs,
  problems: string[],
): Promise<void> {
  const clock = systemClock();
  const engine = nativeEngine({ clock, maxAccessUnitBytes: 1_000_000, responseMs: 300, paceMs: 0 });
  const nothing = (): undefined => undefined;
  const events = { accepted: nothing, parameterSets: nothing, picture: nothing, received: nothing, lost: nothing };
  const url = parseSource(`rtsp://${HOST}:${String(peer.port)}/x`);
  const uri = `rtsp://${HOST}:${String(peer.port)}/x`;
  const login = { username: 'admin', password: 'x' };
  let first = true;
  const plain = async (client: Client, work: () => Promise<unknown>): Promise<void> => {
    runs[client]++;
    try {
      await work();
    } catch (error) {
      const code = error instanceof BluelightError ? error.code : 'none';
      if (!CODES.test(code)) problems.push(`${client}: ${code}: ${errorMessage(error)}`);
    }
  };
  while (goOn()) {
    const all = first;
    first = false;
    if (all || random.chance(0.3)) await plain('rtsp check', () => describeStream({ clock }, uri, login));
    if (all || random.chance(0.2)) await plain('rtsp traits', () => readTraits({ clock, arp: () => '' }, uri, HOST));
    if (all || random.chance(0.5)) await plain('relay', () => throughRelay(peer.port, random));
    runs[`native ${codec}`]++;
    const session = engine.open({ stream: 'fuzz.main', url, username: 'admin', password: 'x' }, events);
    const patience = setTimeout(() => session.stop(), 2_000);
    const end = await session.ended;
    clearTimeout(patience);
    if (!ENDS.has(end.cause)) problems.push(`RTSP: ${end.cause}: ${end.detail}`);
  }
}

/** A client that would go wherever it is told to, such as ffmpeg, behind the relay: what reaches it must not lead on. */
async function throughRelay(port: number, random: Random): Promise<void> {
  const relay = await RedirectGuard.open({ host: HOST, port });
  const client = connect(relay.port, RELAY);
  client.on('error', () => undefined);
  let got = '';
  const transport = random.pick(['RTP/AVP/TCP;unicast;interleaved=0-1', 'RTP/AVP/UDP;unicast;client_port=5-6']);
  const asks = ['OPTIONS', 'DESCRIBE', `SETUP`].map(
    (method, i) => `${method} rtsp://${RELAY}/x RTSP/1.0\r\nCSeq: ${String(i)}\r\nTransport: ${transport}\r\n\r\n`,
  );
  const patience = setTimeout(() => client.destroy(), 300);
  client.on('data', (chunk: Buffer) => {
    got += chunk.toString('latin1');
    const next = asks.shift();
    if (next === undefined) client.destroy();
    else client.write(next);
  });
  client.write(asks.shift()!);
  await once(client, 'close');
  clearTimeout(patience);
  relay.close();
  const led = /^RTSP\/1\.\d 30\d/m.test(got) || FOREIGN.some((host) => new RegExp(`^transport:(?!.*/TCP).*source=${host.replaceAll(/[.[\]]/g, '\\$&')}`, 'im').test(got)); // prettier-ignore
  if (led) throw new Error(`led elsewhere: ${got.slice(-300)}`);
}

/**
 * Both packages in turn. The good camera among the bad answers has to be heard: not each time, since a socket overflows
 * when others answer the same probe, but within as many rounds as a search has.
 */
async function discoveryLoop(goOn: () => boolean, runs: Runs, problems: string[]): Promise<void> {
  const link = { name: 'lo', address: '127.0.0.1', netmask: '255.0.0.0' };
  const first = onvifVoice(() => undefined);
  const second = nodeOnvifVoice(systemClock());
  let missed = 0;
  for (let i = 0; goOn(); i++) {
    let heard = false;
    if (i % 10 === 0) {
      runs['directed probe']++;
      await referenceAt(systemClock(), HOST);
    }
    runs.search++;
    const [voice, ms] = i % 10 === 9 ? ([second, 1_500] as const) : ([first, 250] as const);
    await voice(link, ms, (one) => {
      heard ||= one.endpointReference === GOOD && one.sender === HOST;
    });
    missed = heard ? 0 : missed + 1;
    if (missed === SEARCH_ROUNDS) problems.push(`discovery: the good camera was not heard (probe ${i})`);
  }
}
