import { duplexPair, type Duplex } from 'node:stream';
import { randomUUID } from 'node:crypto';
import mqttPacket from 'mqtt-packet';
import type { IConnectPacket, IPublishPacket, Packet } from 'mqtt-packet';

/** What the broker behind speaks: MQTT 3.1.1, as `aedes` does. */
export interface Backend {
  handle(stream: Duplex): unknown;
  /** Publishes a will. */
  publish(packet: { topic: string; payload: Buffer; qos: 0 | 1 | 2; retain: boolean }): void;
  mayPublish(username: string | undefined, topic: string): boolean;
}

interface Connection {
  close(): void;
}

interface Will {
  topic: string;
  payload: Buffer;
  qos: 0 | 1 | 2;
  retain: boolean;
}

/** v3.1.1 §3.2.2.3 return code -> v5 §3.2.2.2 reason code. */
const CONNACK: Record<number, number> = { 0: 0, 1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87 };
const NOT_AUTHORIZED = 0x87;
const TAKEN_OVER = 0x8e;
const MAX_PACKET_BYTES = 256 * 1024;

/**
 * Lets MQTT v5 clients speak with a 3.1.1 broker: reason codes, wills with delay and session take-over as in v5
 * (§3.1.2.5, §3.1.3.2.2, §3.14), publishing rights answered with a reason instead of a closed connection.
 * Not carried: message expiry, topic aliases, subscription identifiers, shared subscriptions, request/response.
 */
export class Mqtt5Front {
  readonly #backend: Backend;
  readonly #after: (ms: number, run: () => void) => () => void;
  readonly #connections = new Map<string, Connection>();
  readonly #delayed = new Map<string, { will: Will; cancel: () => void }>();
  #closing = false;

  /** @param after runs something later, until cancelled */
  constructor(backend: Backend, after: (ms: number, run: () => void) => () => void) {
    this.#backend = backend;
    this.#after = after;
  }

  /** No will is published for what is cut from now on. */
  close(): void {
    this.#closing = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    for (const connection of this.#connections.values()) connection.close();
  }

  accept(socket: Duplex): void {
    const [inner, outer] = duplexPair();
    const up = mqttPacket.parser();
    const down = mqttPacket.parser({ protocolVersion: 4 });
    const wanted = new Map<number, number>();
    let id: string | undefined;
    let username: string | undefined;
    let will: { will: Will; delayS: number } | undefined;

    const send = (packet: object): void => {
      if (!socket.destroyed) socket.write(mqttPacket.generate(packet as Packet, { protocolVersion: 5 }));
    };
    const forward = (packet: object): void => {
      if (!inner.destroyed) inner.write(mqttPacket.generate(packet as Packet, { protocolVersion: 4 }));
    };
    const connection: Connection = {
      close() {
        send({ cmd: 'disconnect', reasonCode: TAKEN_OVER });
        socket.destroy();
      },
    };

    const connect = (packet: IConnectPacket): void => {
      if (packet.protocolVersion !== 5) {
        socket.end(mqttPacket.generate({ cmd: 'connack', returnCode: 1, sessionPresent: false }));
        return;
      }
      id = packet.clientId === '' ? `auto-${randomUUID()}` : packet.clientId;
      username = packet.username;
      const expiryS = packet.properties?.sessionExpiryInterval ?? 0;
      if (packet.will !== undefined) {
        const { topic, payload, qos, retain, properties } = packet.will;
        const delayS = Math.min(properties?.willDelayInterval ?? 0, expiryS);
        will = { will: { topic, payload: Buffer.from(payload), qos: qos ?? 0, retain: retain ?? false }, delayS };
      }
      this.#takeOver(id, packet.clean === true, connection);
      forward({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clientId: id,
        clean: packet.clean === true || expiryS === 0,
        keepalive: packet.keepalive,
        username: packet.username,
        password: packet.password,
      });
    };

    const publish = (packet: IPublishPacket): void => {
      if (this.#backend.mayPublish(username, packet.topic)) {
        forward({ ...packet, properties: undefined });
      } else if (packet.qos > 0) {
        const cmd = packet.qos === 1 ? 'puback' : 'pubrec';
        send({ cmd, messageId: packet.messageId, reasonCode: NOT_AUTHORIZED });
      }
    };

    up.on('packet', (packet: Packet) => {
      if (id === undefined && packet.cmd !== 'connect') return void socket.destroy();
      switch (packet.cmd) {
        case 'connect':
          return id === undefined ? connect(packet) : void socket.destroy();
        case 'publish':
          return publish(packet);
        case 'subscribe':
          return forward({
            ...packet,
            properties: undefined,
            subscriptions: packet.subscriptions.map(({ topic, qos }) => ({ topic, qos })),
          });
        case 'unsubscribe':
          wanted.set(packet.messageId ?? 0, packet.unsubscriptions.length);
          return forward({ ...packet, properties: undefined });
        case 'disconnect':
          // 0x04: the client wants its will published (§3.14.2.1).
          if (packet.reasonCode !== 4) will = undefined;
          forward({ cmd: 'disconnect' });
          return void socket.end();
        case 'auth':
          return void socket.destroy();
        default:
          return forward({ ...packet, properties: undefined, reasonCode: undefined });
      }
    });
    down.on('packet', (packet: Packet) => {
      switch (packet.cmd) {
        case 'connack':
          return send({
            cmd: 'connack',
            sessionPresent: packet.sessionPresent,
            reasonCode: CONNACK[packet.returnCode ?? 0] ?? 0x80,
            properties: {
              maximumPacketSize: MAX_PACKET_BYTES,
              sharedSubscriptionAvailable: false,
              subscriptionIdentifiersAvailable: false,
              ...(id?.startsWith('auto-') === true ? { assignedClientIdentifier: id } : {}),
            },
          });
        case 'suback':
          return send({ ...packet, granted: packet.granted.map((qos) => (qos === 0x80 ? NOT_AUTHORIZED : qos)) });
        case 'unsuback': {
          const count = wanted.get(packet.messageId ?? 0) ?? 1;
          wanted.delete(packet.messageId ?? 0);
          return send({ ...packet, granted: Array.from({ length: count }, () => 0) });
        }
        default:
          return send(packet);
      }
    });
    up.on('error', () => socket.destroy());
    down.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      if (up.parse(chunk) > MAX_PACKET_BYTES) socket.destroy();
    });
    inner.on('data', (chunk: Buffer) => void down.parse(chunk));
    inner.on('end', () => socket.end());
    inner.on('error', () => socket.destroy());
    // Its cause is in the close that follows: for a broker, a broken connection is an everyday event.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      inner.destroy();
      outer.destroy();
      if (id !== undefined) this.#gone(id, connection, username, will);
    });
    this.#backend.handle(outer);
  }

  #takeOver(id: string, clean: boolean, connection: Connection): void {
    const old = this.#connections.get(id);
    this.#connections.set(id, connection);
    old?.close();
    const waiting = this.#delayed.get(id);
    if (waiting === undefined) return;
    waiting.cancel();
    this.#delayed.delete(id);
    // §3.1.3.2.2: back before the delay has passed, no will is sent; a clean start ends the session, so it is.
    if (clean) this.#backend.publish(waiting.will);
  }

  #gone(
    id: string,
    connection: Connection,
    username: string | undefined,
    left: { will: Will; delayS: number } | undefined,
  ): void {
    const newer = this.#connections.get(id) !== connection;
    if (!newer) this.#connections.delete(id);
    if (left === undefined || this.#closing || !this.#backend.mayPublish(username, left.will.topic)) return;
    if (left.delayS === 0) return this.#backend.publish(left.will);
    if (newer) return;
    const cancel = this.#after(left.delayS * 1000, () => {
      this.#delayed.delete(id);
      this.#backend.publish(left.will);
    });
    this.#delayed.set(id, { will: left.will, cancel });
  }
}
