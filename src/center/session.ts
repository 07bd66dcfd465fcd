import { connect as tcpConnect, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import mqtt from 'mqtt';
import type { MqttClient } from 'mqtt';
import { BluelightError, errorMessage } from '../base/errors.js';
import { TAKEN_OVER } from './plan.js';
import { PacketMeter } from './packet-meter.js';
import type { Dial, DialTarget } from './ports.js';

/** Biggest packet that we take: a list of 2,000 operators is the largest thing that a center has to say. */
export const MAX_PACKET_BYTES = 512 * 1024;

export interface SessionOptions {
  brokerUrl: string;
  clientId: string;
  username?: string;
  password?: string;
  ca?: string;
  keepaliveS: number;
  /** The broker keeps our subscriptions (and holds the will back) this long after the connection broke. */
  sessionExpiryS: number;
  willDelayS: number;
  will: { topic: string; payload: string };
  /** What the broker kept for us is forgotten, commands included. */
  clean?: boolean;
  dial: Dial;
  onMessage: (topic: string, payload: Buffer) => void;
  /** Gives up a connection that is not there yet. */
  signal: AbortSignal;
}

export interface SessionEnd {
  message: string;
  /** MQTT v5 reason code of a CONNACK or DISCONNECT. */
  reason?: number;
}

export interface PublishOptions {
  qos: 0 | 1;
  retain: boolean;
  /** The broker forgets it after this. */
  expiryS?: number;
}

/** One MQTT v5 connection, from its CONNACK to its end. It never reconnects: a new one carries a new will. */
export interface Session {
  publish(topic: string, payload: string, options: PublishOptions): Promise<void>;
  subscribe(topics: string[]): Promise<void>;
  /** Settles once, when the connection is gone. */
  readonly ended: Promise<SessionEnd>;
  /**
   * DISCONNECT 0x00, which makes the broker drop the will.
   * @param forget the broker keeps nothing for us either: commands that come now are lost
   */
  end(forget: boolean): Promise<void>;
  /** Cuts the connection, as a fault would. */
  destroy(): void;
}

/** Plain `net` and `tls`, for a box without links of its own choice. */
export const dialDirect = ({ host, port, tls }: DialTarget): Duplex =>
  tls === undefined
    ? tcpConnect({ host, port })
    : tlsConnect({ host, port, servername: isIP(tls.servername) === 0 ? tls.servername : '', ca: tls.ca });

/** @throws BluelightError CENTER_UNREACHABLE | CENTER_REFUSED, with the reason code in `SessionEnd` form as cause */
export async function openSession(options: SessionOptions): Promise<Session> {
  const stream = await reach(options);
  const client = new mqtt.MqttClient(() => guarded(stream), {
    clientId: options.clientId,
    username: options.username,
    password: options.password,
    protocolVersion: 5,
    protocolId: 'MQTT',
    clean: options.clean ?? false,
    keepalive: options.keepaliveS,
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    queueQoSZero: false,
    resubscribe: false,
    properties: { sessionExpiryInterval: options.sessionExpiryS, maximumPacketSize: MAX_PACKET_BYTES },
    will: {
      topic: options.will.topic,
      payload: Buffer.from(options.will.payload),
      qos: 1,
      retain: true,
      properties: { willDelayInterval: options.willDelayS },
    },
  });
  return new Promise((resolve, reject) => {
    const session = wrap(client, options);
    const giveUp = (): void => session.destroy();
    options.signal.addEventListener('abort', giveUp, { once: true });
    const decided = (): void => options.signal.removeEventListener('abort', giveUp);
    client.once('connect', () => (decided(), resolve(session)));
    void session.ended.then((end) => (decided(), reject(endError(end))));
  });
}

async function reach(options: SessionOptions): Promise<Duplex> {
  const target = dialTarget(options);
  try {
    return await options.dial(target);
  } catch (error) {
    throw endError({ message: errorMessage(error) });
  }
}

export function endError(end: SessionEnd): BluelightError {
  if (end.reason === TAKEN_OVER) {
    return new BluelightError('IDENTITY_TAKEN', 'another box connected to the center with the identity of this one', {
      retryable: true,
      fix: 'find the copy (a restored backup, a cloned disk) and claim it anew',
      cause: end,
    });
  }
  return end.reason === undefined
    ? new BluelightError('CENTER_UNREACHABLE', `no connection to the center's broker: ${end.message}`, {
        retryable: true,
        fix: 'look at the uplink; `bluelight uplink test` says how far it gets',
        cause: end,
      })
    : new BluelightError('CENTER_REFUSED', `the center's broker ended the session: ${end.message}`, {
        retryable: true,
        fix: 'ask the center whether this box is still claimed, and whether its broker speaks MQTT 5',
        cause: end,
      });
}

function dialTarget(options: SessionOptions): DialTarget {
  const url = new URL(options.brokerUrl);
  const secure = url.protocol === 'mqtts:';
  if (!secure && url.protocol !== 'mqtt:') {
    throw new BluelightError('BAD_BROKER', `the broker address ${options.brokerUrl} is not mqtt:// or mqtts://`, {
      fix: 'claim the box with a file that the center made',
    });
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (secure ? 8883 : 1883) : Number(url.port);
  return { host, port, purpose: 'mqtt', ...(secure ? { tls: { servername: host, ca: options.ca } } : {}) };
}

function guarded(socket: Duplex): Duplex {
  const meter = new PacketMeter(MAX_PACKET_BYTES);
  // Attached before the client pipes, so that it sees every chunk first.
  socket.on('data', (chunk: Uint8Array) => {
    if (!meter.take(chunk)) {
      socket.destroy(new BluelightError('PACKET_TOO_BIG', `the broker sent a packet over ${MAX_PACKET_BYTES} bytes`));
    }
  });
  return socket;
}

function wrap(client: MqttClient, options: SessionOptions): Session {
  let why: SessionEnd = { message: 'the connection was closed' };
  const ended = new Promise<SessionEnd>((resolve) => {
    client.on('error', (error) => {
      const code: unknown = (error as { code?: unknown }).code;
      // Before v5 a CONNACK has no reason code; 1 is its "unacceptable protocol version" (v3.1.1 §3.2.2.3).
      const reason = typeof code === 'number' ? (code === 1 ? 0x84 : code) : undefined;
      why = { message: errorMessage(error) || String(code), ...(reason === undefined ? {} : { reason }) };
      client.end(true);
    });
    client.on('disconnect', (packet) => {
      const reason = packet.reasonCode ?? 0;
      why = { message: packet.properties?.reasonString ?? `disconnected by the broker, reason ${reason}`, reason };
      client.end(true);
    });
    client.on('close', () => resolve(why));
  });
  client.on('message', options.onMessage);
  // The client does not call back for what was under way when its connection broke; this settles it.
  const underWay = new Set<(error: Error) => void>();
  void ended.then((end) => {
    for (const fail of underWay) fail(endError(end));
  });
  const tracked = (topic: string, work: () => Promise<unknown>): Promise<void> => {
    if (!client.connected) return Promise.reject(endError(why));
    return new Promise<void>((resolve, reject) => {
      underWay.add(reject);
      work()
        .then(
          () => resolve(),
          (error: unknown) => reject(refusal(error, topic)),
        )
        .finally(() => underWay.delete(reject));
    });
  };
  return {
    ended,
    publish: (topic, payload, { qos, retain, expiryS }) => {
      const properties = expiryS === undefined ? {} : { properties: { messageExpiryInterval: expiryS } };
      return tracked(topic, () => client.publishAsync(topic, payload, { qos, retain, ...properties }));
    },
    subscribe(topics) {
      const map = Object.fromEntries(topics.map((topic) => [topic, { qos: 1 as const, rap: true }]));
      return tracked(topics.join(', '), () => client.subscribeAsync(map));
    },
    async end(forget) {
      if (client.connected) {
        client.end(false, { reasonCode: 0, ...(forget ? { properties: { sessionExpiryInterval: 0 } } : {}) });
        await ended;
      } else client.end(true);
    },
    destroy: () => client.stream.destroy(),
  };
}

/** MQTT v5 §3.4.2.1: a PUBACK from 0x80 on is a failure, though the packet arrived. */
function refusal(error: unknown, topic: string): Error {
  const code: unknown = (error as { code?: unknown }).code;
  if (typeof code !== 'number' || code < 0x80) {
    return new BluelightError('CENTER_UNREACHABLE', `nothing was sent to ${topic}: ${errorMessage(error)}`, {
      retryable: true,
      cause: error,
    });
  }
  return new BluelightError('PUBLISH_REFUSED', `the broker refused ${topic}: ${errorMessage(error)} (reason ${code})`, {
    retryable: true,
    fix: "ask the center to look at its broker's access list for this box",
    cause: error,
  });
}
