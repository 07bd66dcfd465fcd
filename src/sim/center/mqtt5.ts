import { randomUUID } from 'node:crypto';
import { duplexPair, type Duplex } from 'node:stream';
import mqttPacket from 'mqtt-packet';
import type { IConnectPacket, IPublishPacket, Packet } from 'mqtt-packet';

/** What the broker behind speaks: MQTT 3.1.1, as `aedes` does. */
export interface Backend {
  handle(stream: Duplex): unknown;
  /** Publishes a will. */
  publish(packet: Will): void;
  mayPublish(username: string | undefined, topic: string): boolean;
}

export interface Will {
  topic: string;
  payload: Buffer;
  qos: 0 | 1 | 2;
  retain: boolean;
}

/** v3.1.1 §3.2.2.3 return code -> v5 §3.2.2.2 reason code. */
const CONNACK: Record<number, number> = { 0: 0, 1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87 };
const NOT_AUTHORIZED = 0x87;
const SHUTTING_DOWN = 0x8b;
const TAKEN_OVER = 0x8e;
const WITH_WILL = 4;
const MAX_PACKET_BYTES = 256 * 1024;

/**
 * Lets MQTT v5 clients speak with a 3.1.1 broker: reason codes, wills with delay and session take-over as in v5
 * (§3.1.2.5, §3.1.3.2.2, §3.14), publishing rights answered with a reason instead of a closed connection.
 * Not carried: message expiry, topic aliases, subscription identifiers, shared subscriptions, request/response.
 */
export class Mqtt5Front {
  readonly backend: Backend;
  readonly #after: (ms: number, run: () => void) => () => void;
  readonly #connections = new Map<string, Connection>();
  readonly #delayed = new Map<string, { will: Will; cancel: () => void }>();
  #closing = false;

  /** @param after runs something later, until cancelled */
  constructor(backend: Backend, after: (ms: number, run: () => void) => () => void) {
    this.backend = backend;
    this.#after = after;
  }

  accept(socket: Duplex): void {
    const connection = new Connection(this, socket);
    this.backend.handle(connection.outer);
  }

  /** No will is published for what is cut from now on. */
  close(): void {
    this.#closing = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    for (const connection of this.#connections.values()) connection.close(SHUTTING_DOWN);
  }

  /** §3.1.4: an older connection of the same client is closed. */
  connected(connection: Connection, id: string, clean: boolean): void {
    const old = this.#connections.get(id);
    this.#connections.set(id, connection);
    old?.close(TAKEN_OVER);
    const waiting = this.#delayed.get(id);
    if (waiting === undefined) return;
    waiting.cancel();
    this.#delayed.delete(id);
    // §3.1.3.2.2: back before the delay has passed, no will is sent; a clean start ends the session, so it is.
    if (clean) this.backend.publish(waiting.will);
  }

  gone(connection: Connection, id: string, left: { will: Will; delayS: number } | undefined): void {
    const newer = this.#connections.get(id) !== connection;
    if (!newer) this.#connections.delete(id);
    if (left === undefined || this.#closing) return;
    if (left.delayS === 0) return this.backend.publish(left.will);
    if (newer) return;
    const cancel = this.#after(left.delayS * 1000, () => {
      this.#delayed.delete(id);
      this.backend.publish(left.will);
    });
    this.#delayed.set(id, { will: left.will, cancel });
  }
}

/** One client: v5 on its socket, v3.1.1 on the pipe to the broker. */
class Connection {
  /** The broker's end of the pipe. */
  readonly outer: Duplex;
  readonly #inner: Duplex;
  readonly #front: Mqtt5Front;
  readonly #socket: Duplex;
  /** How many filters each UNSUBSCRIBE named: v5 wants a code for each. */
  readonly #filters = new Map<number, number>();
  #id: string | undefined;
  #assigned = false;
  #username: string | undefined;
  #will: { will: Will; delayS: number } | undefined;

  constructor(front: Mqtt5Front, socket: Duplex) {
    this.#front = front;
    this.#socket = socket;
    [this.#inner, this.outer] = duplexPair();
    const up = mqttPacket.parser();
    const down = mqttPacket.parser({ protocolVersion: 4 });
    up.on('packet', (packet: Packet) => this.#fromClient(packet));
    down.on('packet', (packet: Packet) => this.#fromBroker(packet));
    const drop = (): void => void socket.destroy();
    up.on('error', drop);
    down.on('error', drop);
    socket.on('data', (chunk: Buffer) => {
      if (up.parse(chunk) > MAX_PACKET_BYTES) drop();
    });
    this.#inner.on('data', (chunk: Buffer) => void down.parse(chunk));
    this.#inner.on('end', () => socket.end());
    this.#inner.on('error', drop);
    // Its cause is in the close that follows: for a broker, a broken connection is an everyday event.
    socket.on('error', drop);
    socket.on('close', () => {
      this.#inner.destroy();
      this.outer.destroy();
      if (this.#id !== undefined) front.gone(this, this.#id, this.#will);
    });
  }

  close(reasonCode: number): void {
    this.#toClient({ cmd: 'disconnect', reasonCode });
    this.#socket.end();
    this.#inner.destroy();
  }

  #toClient(packet: object): void {
    if (!this.#socket.writable) return;
    this.#socket.write(mqttPacket.generate(packet as Packet, { protocolVersion: 5 }));
  }

  #toBroker(packet: object): void {
    if (!this.#inner.writable) return;
    this.#inner.write(mqttPacket.generate(packet as Packet, { protocolVersion: 4 }));
  }

  #fromClient(packet: Packet): void {
    if ((this.#id === undefined) !== (packet.cmd === 'connect')) return void this.#socket.destroy();
    switch (packet.cmd) {
      case 'connect':
        return this.#connect(packet);
      case 'publish':
        return this.#publish(packet);
      case 'subscribe': {
        const subscriptions = packet.subscriptions.map(({ topic, qos }) => ({ topic, qos }));
        return this.#toBroker({ ...packet, properties: undefined, subscriptions });
      }
      case 'unsubscribe':
        this.#filters.set(packet.messageId ?? 0, packet.unsubscriptions.length);
        return this.#toBroker({ ...packet, properties: undefined });
      case 'disconnect':
        // §3.14.2.1: only 0x04 asks for the will.
        if (packet.reasonCode !== WITH_WILL) this.#will = undefined;
        this.#toBroker({ cmd: 'disconnect' });
        return void this.#socket.end();
      case 'auth':
        return void this.#socket.destroy();
      default:
        return this.#toBroker({ ...packet, properties: undefined, reasonCode: undefined });
    }
  }

  #connect(packet: IConnectPacket): void {
    if (packet.protocolVersion !== 5) {
      this.#socket.end(mqttPacket.generate({ cmd: 'connack', returnCode: 1, sessionPresent: false }));
      return;
    }
    this.#assigned = packet.clientId === '';
    this.#id = this.#assigned ? `auto-${randomUUID()}` : packet.clientId;
    this.#username = packet.username;
    const expiryS = packet.properties?.sessionExpiryInterval ?? 0;
    if (packet.will !== undefined && this.#front.backend.mayPublish(packet.username, packet.will.topic)) {
      const { topic, payload, qos, retain, properties } = packet.will;
      const will = { topic, payload: Buffer.from(payload), qos: qos ?? 0, retain: retain ?? false };
      this.#will = { will, delayS: Math.min(properties?.willDelayInterval ?? 0, expiryS) };
    }
    this.#front.connected(this, this.#id, packet.clean === true);
    this.#toBroker({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clientId: this.#id,
      clean: packet.clean === true || expiryS === 0,
      keepalive: packet.keepalive,
      username: packet.username,
      password: packet.password,
    });
  }

  #publish(packet: IPublishPacket): void {
    if (this.#front.backend.mayPublish(this.#username, packet.topic)) {
      this.#toBroker({ ...packet, properties: undefined });
    } else if (packet.qos > 0) {
      const cmd = packet.qos === 1 ? 'puback' : 'pubrec';
      this.#toClient({ cmd, messageId: packet.messageId, reasonCode: NOT_AUTHORIZED });
    }
  }

  #fromBroker(packet: Packet): void {
    switch (packet.cmd) {
      case 'connack':
        return this.#toClient({
          cmd: 'connack',
          sessionPresent: packet.sessionPresent,
          reasonCode: CONNACK[packet.returnCode ?? 0] ?? 0x80,
          properties: {
            maximumPacketSize: MAX_PACKET_BYTES,
            sharedSubscriptionAvailable: false,
            subscriptionIdentifiersAvailable: false,
            ...(this.#assigned ? { assignedClientIdentifier: this.#id } : {}),
          },
        });
      case 'suback':
        return this.#toClient({
          ...packet,
          granted: packet.granted.map((qos) => (qos === 0x80 ? NOT_AUTHORIZED : qos)),
        });
      case 'unsuback': {
        const count = this.#filters.get(packet.messageId ?? 0) ?? 1;
        this.#filters.delete(packet.messageId ?? 0);
        return this.#toClient({ ...packet, granted: Array.from({ length: count }, () => 0) });
      }
      default:
        return this.#toClient(packet);
    }
  }
}
