import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.js';
import { systemProcesses } from '../../src/base/processes.js';
import { readClip } from '../../src/sim/camera/clip.js';
import { probeMatch } from '../../src/sim/camera/discovery.js';
import type { Codec } from '../../src/media/stream.js';
import { EventService } from '../../src/sim/camera/event-service.js';
import { prepareFootage } from '../../src/sim/camera/footage.js';
import { hostileAnswers } from '../../src/sim/camera/index.js';
import {
  DEVICE_ANSWERS,
  DEVICEIO_ANSWERS,
  MEDIA2_ANSWERS,
  MEDIA_ANSWERS,
  SERVICES,
  type DeviceFacts,
} from '../../src/sim/camera/onvif-answers.js';
import { DEFAULT_SUB, NO_FAULTS } from '../../src/sim/camera/options.js';
import { packetise } from '../../src/sim/camera/rtp.js';
import { readSoap, soapAnswer } from '../../src/sim/camera/soap.js';
import { mutateBytes, mutateText } from './mutate.js';
import type { Random } from './random.js';

/** Something that answers, wrongly most of the time. `sent` counts the damaged messages. */
export interface HostilePeer {
  port: number;
  sent(): number;
  close(): void;
}

const clock = systemClock();
const SIZE = { ...DEFAULT_SUB, width: 320, height: 180, kbps: 300 };

/** An ONVIF device of which two answers in five are damaged; the others lead on to the next question. */
export async function hostileOnvif(host: string, random: Random): Promise<HostilePeer> {
  let sent = 0;
  const faults = { ...NO_FAULTS, password: '' };
  const facts: DeviceFacts = {
    ...{ id: 'fuzz', address: () => host, manufacturer: 'm', model: 'm', firmware: '1.10', serial: '001' },
    ...{ mac: '02:00:00:00:00:01', nowMs: () => clock.now(), setClock: () => undefined, setRelay: () => undefined },
    ...{ relays: [false], inputs: 1, relayService: 'deviceio', events: true },
    base: () => `http://${host}:${String(port)}`,
    servicesBase: () => `http://${host}:${String(port)}`,
    profiles: (['main', 'sub'] as const).map((role) => ({
      ...{ token: role, channel: 1, role, encoding: SIZE, change: () => Promise.resolve() },
      streamUri: () => `rtsp://${host}/${role}`,
      snapshotUri: () => `http://${host}/snapshot`,
    })),
  };
  const events = new EventService(clock, faults, facts.nowMs, (path) => `${facts.base()}${path}`);
  events.set({
    topic: 'tns1:Device/Trigger/Relay',
    source: ['RelayToken', 'relay_1'],
    data: ['LogicalState', 'active'],
  });
  const good = async (path: string, body: string): Promise<string> => {
    const soap = readSoap(body);
    const field = (name: string): string | undefined => soap?.field(name);
    if (path.startsWith(SERVICES.events.path)) {
      const verdict = await events.answer(soap?.action ?? '', path, (name) =>
        name === 'Timeout' ? 'PT0S' : field(name),
      );
      return 'xml' in verdict ? verdict.xml : '';
    }
    const table = [DEVICEIO_ANSWERS, MEDIA2_ANSWERS, MEDIA_ANSWERS, DEVICE_ANSWERS];
    const paths = [SERVICES.deviceio.path, SERVICES.media2.path, SERVICES.media.path];
    const answers = table[paths.indexOf(path as never)] ?? DEVICE_ANSWERS;
    return (await answers[soap?.action ?? '']?.(facts, field)) ?? '';
  };
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (chunk: Buffer) => parts.push(chunk));
    request.on('end', () => {
      void good(request.url ?? '', Buffer.concat(parts).toString()).then((inside) => {
        const answer = soapAnswer(inside);
        const damaged = random.chance(0.4);
        if (damaged) sent++;
        if (damaged && random.chance(0.05)) return request.socket.destroy();
        if (damaged && random.chance(0.2)) response.statusCode = random.pick([200, 204, 302, 307, 400, 401, 500, 503]);
        if (damaged && random.chance(0.1)) response.setHeader('WWW-Authenticate', random.pick(CHALLENGES));
        if (damaged && random.chance(0.2)) response.setHeader('Location', 'http://10.99.99.99/');
        response.end(damaged ? mutateText(answer, random) : answer);
        return undefined;
      });
    });
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = (): void => (server.closeAllConnections(), void server.close());
  return { port, sent: () => sent, close };
}

const CHALLENGES = [
  'Digest realm="cam", nonce="abc", qop="auth"',
  'Digest realm="cam", nonce="abc", algorithm=SHA-256',
  'Digest',
  'Digest x',
  'Basic realm="a"',
  'Digest nonce="a", algorithm=FOO',
  ',,,',
] as const;
const RTP_A_SESSION = 150;

/** An RTSP server that gets as far as it can through a session, and then sends damaged packets as fast as it may. */
export async function hostileRtsp(host: string, random: Random, codec: Codec): Promise<HostilePeer> {
  let sent = 0;
  const cacheDir = join(tmpdir(), 'bluelight-test-footage');
  const scene = { kind: 'scene', scene: { seed: 7, loopSeconds: 6, activity: 0.6 } } as const;
  const footage = await prepareFootage(
    { source: scene, main: { ...SIZE, codec }, sub: undefined },
    cacheDir,
    systemProcesses(clock),
  );
  const clip = readClip(footage.main, codec, 10);
  const sets = clip.parameterSets.map((set) => Buffer.from(set).toString('base64'));
  const [map, format] =
    codec === 'h264'
      ? ['H264', `packetization-mode=1;sprop-parameter-sets=${sets.join(',')}`]
      : ['H265', ['vps', 'sps', 'pps'].map((name, i) => `sprop-${name}=${sets[i] ?? ''}`).join(';')];
  const sdp = `v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 ${map}/90000\r\na=fmtp:96 ${format}\r\na=control:trackID=0\r\n`;
  const state = { ssrc: 7, sequence: 0, packets: 0, octets: 0 };
  const packets = clip.units.flatMap((unit, i) => packetise(codec, [...unit.head, ...unit.slices], i * 9_000, state));
  const serve = (socket: Socket): void => {
    let rest = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      rest += chunk.toString('latin1');
      for (let end = rest.indexOf('\r\n\r\n'); end !== -1; end = rest.indexOf('\r\n\r\n')) {
        const request = rest.slice(0, end);
        rest = rest.slice(end + 4);
        const damaged = random.chance(0.15);
        if (damaged) sent++;
        const answer = rtspAnswer(request, sdp, random);
        socket.write(damaged ? mutateText(answer, random) : answer);
        if (request.startsWith('PLAY')) flood(socket);
      }
    });
  };
  const flood = (socket: Socket): void => {
    const start = random.below(packets.length);
    const out = Array.from({ length: RTP_A_SESSION }, (_, i) => packets[(start + i) % packets.length]!);
    const from = sent;
    const bytes = out.map((packet) => (random.chance(0.5) ? (sent++, mutateBytes(packet, random)) : packet));
    if (sent > from) socket.end(Buffer.concat(bytes));
    else socket.end();
  };
  const server: TcpServer = createTcpServer(serve).listen(0, host);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, sent: () => sent, close: () => void server.close() };
}

function rtspAnswer(request: string, sdp: string, random: Random): string {
  const cseq = /cseq: *(\d+)/i.exec(request)?.[1] ?? '0';
  // Some want a login, in one of the ways that there are and that there are not.
  if (request.startsWith('DESCRIBE') && !/^authorization:/im.test(request) && random.chance(0.2)) {
    return `RTSP/1.0 401 Unauthorized\r\nCSeq: ${cseq}\r\nWWW-Authenticate: ${random.pick(CHALLENGES)}\r\n\r\n`;
  }
  const head = `RTSP/1.0 200 OK\r\nCSeq: ${cseq}\r\n`;
  if (request.startsWith('DESCRIBE')) {
    return `${head}Content-Base: rtsp://127.0.0.1/\r\nContent-Type: application/sdp\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`;
  }
  if (request.startsWith('SETUP')) {
    const udp = /client_port=/i.test(request);
    const transport = udp
      ? 'RTP/AVP;unicast;client_port=5-6;server_port=7-8;source=127.0.0.1'
      : 'RTP/AVP/TCP;unicast;interleaved=0-1';
    return `${head}Transport: ${transport}\r\nSession: 12345678;timeout=60\r\n\r\n`;
  }
  return `${head}Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\nSession: 12345678\r\n\r\n`;
}

/** Answers each probe with so many damaged answers, and a good one. Joins the group on the loopback device. */
export async function hostileResponder(
  host: string,
  reference: string,
  random: Random,
  each: number,
): Promise<HostilePeer> {
  let sent = 0;
  const xaddr = `http://${host}/onvif/device_service`;
  const good = probeMatch(
    {
      ...{ address: host, endpointReference: reference, xaddr, scopes: ['onvif://www.onvif.org/name/good'] },
      ...{ awake: () => true, discoveryLossShare: () => 0, hostileDiscovery: () => false },
    },
    'urn:uuid:1',
  );
  const shapes = hostileAnswers(xaddr).map((one) => one.datagram);
  const group = await bound('239.255.255.250');
  const own = await bound(host);
  group.addMembership('239.255.255.250', '127.0.0.1');
  // As it is now: whoever watches what we send later does not take this for it.
  const send = own.send.bind(own) as (message: string, port: number, address: string) => void;
  const answer = (message: Buffer, from: RemoteInfo): void => {
    if (!message.includes('Probe') || message.includes('ProbeMatch')) return;
    for (let i = 0; i < each; i++) {
      if (i === each >> 1) send(good, from.port, from.address);
      sent++;
      const base = random.chance(0.8) ? good.replaceAll(reference, `urn:uuid:${String(sent)}`) : random.pick(shapes);
      send(mutateText(base, random).slice(0, 2_000), from.port, from.address);
    }
  };
  group.on('message', answer);
  own.on('message', answer);
  return { port: 3702, sent: () => sent, close: () => (group.close(), void own.close()) };
}

async function bound(address: string): Promise<UdpSocket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.bind(3702, address);
  await once(socket, 'listening');
  return socket;
}
