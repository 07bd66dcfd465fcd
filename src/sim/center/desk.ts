import { EventEmitter } from 'node:events';
import mqtt, { type MqttClient } from 'mqtt';
import type { Clock } from '../../base/clock.js';
import { errorMessage } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import {
  anchorEventData,
  centerStatusTopic,
  checkpointEventData,
  eventData,
  eventEnvelope,
  heartbeatMessage,
  infoMessage,
  policyReportedMessage,
  statusMessage,
  topics,
  type Ack,
  type EventEnvelope,
} from '../../contract/messages.js';
import { slug, toUtc } from '../../contract/primitives.js';
import { ACK_TYPE } from '../../contract/upload.js';
import { signJws } from '../../proof/jws.js';
import type { Signer } from '../../proof/keys.js';
import { jobMessage } from '../../contract/commands.js';
import type { CenterDb } from './db.js';
import type { Arrival } from './records.js';
import type { Proofs } from './proofs.js';
import type { Outgoing, Requests } from './requests.js';
import type { Membership } from './membership.js';

export interface DeskOptions {
  clock: Clock;
  log: Log;
  id: string;
  signer: Signer;
  db: CenterDb;
  proofs: Proofs;
  requests: Requests;
  membership: Membership;
  broker: { url: string; username?: string; password?: string };
  /** Something changed that the console shows. */
  changed: (what: 'box' | 'event') => void;
  ackDelayMs?: number;
}

const MAX_MESSAGE_BYTES = 256 * 1024;

/**
 * The center's end of the wire: an MQTT v5 client like any other. Takes in what boxes say, keeps it, and then
 * acknowledges what it keeps: contiguous sequence per stream and the newest heartbeat, signed.
 */
export class Desk {
  readonly #o: DeskOptions;
  readonly #client: MqttClient;
  readonly #due = new Set<string>();
  readonly #arrived: Arrival[] = [];
  readonly #nonces = new Map<string, string>();
  readonly #stop = new AbortController();
  readonly #events = new EventEmitter();
  #acking = false;

  constructor(options: DeskOptions) {
    this.#o = options;
    const will = { schema: 1, online: false, ts: toUtc(options.clock.now()) };
    this.#client = mqtt.connect(options.broker.url, {
      clientId: `center-${options.id}`,
      username: options.broker.username,
      password: options.broker.password,
      protocolVersion: 5,
      clean: false,
      keepalive: 20,
      reconnectPeriod: 500,
      queueQoSZero: false,
      properties: { sessionExpiryInterval: 7 * 86_400, maximumPacketSize: MAX_MESSAGE_BYTES },
      will: { topic: centerStatusTopic(options.id), payload: Buffer.from(JSON.stringify(will)), qos: 1, retain: true },
    });
    this.#client.on('connect', () => void this.#connected());
    this.#client.on('message', (topic, payload) => this.#take(topic, payload));
    options.requests.sendBy((message) => this.#send(message));
    this.#client.on('error', (error) => {
      if (!this.#stop.signal.aborted) options.log.warn({ error: errorMessage(error) }, "the center's broker");
    });
  }

  /** Resolves once it listens at the broker. */
  ready(): Promise<void> {
    return new Promise((resolve) => this.#events.once('ready', resolve));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#keep();
    if (this.#client.connected) {
      const away = { schema: 1, online: false, ts: toUtc(this.#o.clock.now()) };
      await this.#client.publishAsync(centerStatusTopic(this.#o.id), JSON.stringify(away), { qos: 1, retain: true });
    }
    await this.#client.endAsync(!this.#client.connected);
  }

  async #connected(): Promise<void> {
    const all = 'bluelight/v1/+/+';
    try {
      const kinds = ['status', 'info', 'heartbeat', 'event/+', 'job/+', 'policy/reported'];
      await this.#client.subscribeAsync(
        kinds.map((kind) => `${all}/${kind}`),
        { qos: 1 },
      );
      const here = { schema: 1, online: true, ts: toUtc(this.#o.clock.now()) };
      await this.#client.publishAsync(centerStatusTopic(this.#o.id), JSON.stringify(here), { qos: 1, retain: true });
      for (const { site, box } of this.#o.membership.claimed()) this.tellEnrolment(site, box);
      this.#events.emit('ready');
    } catch (error) {
      this.#o.log.warn({ error: errorMessage(error) }, 'the center could not subscribe');
    }
  }

  /** Retained: a box that is away hears it when it comes back. */
  tellEnrolment(site: string, box: string): void {
    if (!this.#client.connected) return;
    const text = JSON.stringify(this.#o.membership.message(site, box));
    this.#client.publish(topics(site, box).enrolment, text, { qos: 1, retain: true }, (error) => {
      if (error) this.#o.log.warn({ site, box, error: errorMessage(error) }, 'a box was not told of its enrolment');
    });
  }

  #take(topic: string, payload: Buffer): void {
    const [, , site, box, kind] = topic.split('/');
    if (site === undefined || box === undefined || kind === undefined || site === 'center' || payload.length === 0)
      return;
    try {
      slug.parse(site);
      slug.parse(box);
      this.#sort(site, box, kind, JSON.parse(payload.toString('utf8')) as unknown);
    } catch (error) {
      this.#o.log.warn({ topic, error: errorMessage(error).slice(0, 300) }, 'a message was refused');
    }
  }

  #sort(site: string, box: string, kind: string, message: unknown): void {
    const { db, clock, membership } = this.#o;
    membership.admit(site, box);
    switch (kind) {
      case 'status':
        return this.#status(site, box, message);
      case 'info': {
        const info = infoMessage.parse(message);
        membership.heard(site, box, info);
        db.saveBox(site, box, { info });
        this.#o.requests.enrol(site, box);
        this.#o.requests.repeat(site, box);
        return this.#o.changed('box');
      }
      case 'heartbeat': {
        const heartbeat = heartbeatMessage.parse(message);
        db.saveBox(site, box, { heartbeat, heartbeatAt: clock.now() });
        this.#nonces.set(`${site}/${box}`, heartbeat.nonce);
        this.#o.changed('box');
        return this.#ackSoon(site, box);
      }
      case 'event':
        return this.#event(site, box, eventEnvelope.parse(message));
      case 'job':
        this.#o.requests.answered(site, box, jobMessage.parse(message));
        return this.#o.changed('box');
      case 'policy':
        this.#o.requests.reported(site, box, policyReportedMessage.parse(message));
        return this.#o.changed('box');
      default:
    }
  }

  /**
   * A will speaks of its own session only: that of an older one, come late, says nothing about the box as it is now.
   * Equality and not order: a box whose clock fell back makes smaller ids.
   */
  #status(site: string, box: string, message: unknown): void {
    const status = statusMessage.parse(message);
    const known = this.#o.db.box(site, box)?.status;
    const other = known !== null && known !== undefined && known.session !== status.session;
    if (status.state === 'lost' && other) return;
    this.#o.db.saveBox(site, box, { status });
    this.#o.changed('box');
  }

  #event(site: string, box: string, event: EventEnvelope): void {
    const schema = (eventData as Record<string, { parse: (data: unknown) => unknown } | undefined>)[event.type];
    // A type that a newer agent sends is kept as it is: refusing it would block its stream for ever.
    if (schema !== undefined) schema.parse(event.data);
    this.#arrived.push({ site, box, event, receivedAt: this.#o.clock.now() });
    this.#ackSoon(site, box);
    this.#proof(site, box, event);
  }

  /** Kept apart from the events as well: to be handed out, and held against each other. */
  #proof(site: string, box: string, { type, data }: EventEnvelope): void {
    const { proofs, log } = this.#o;
    if (type === 'bluelight.checkpoint') {
      const { problem } = proofs.takeCheckpoint(site, box, checkpointEventData.parse(data).checkpoint);
      if (problem !== null) log.error({ box: `${site}/${box}`, problem }, 'the checkpoints of a box do not follow');
    } else if (type === 'bluelight.anchor') {
      const { clip, anchor } = anchorEventData.parse(data);
      proofs.takeAnchor(site, box, clip, anchor);
    }
  }

  #send({ topic, text, retain, expiryS }: Outgoing): void {
    const properties = expiryS === undefined ? {} : { properties: { messageExpiryInterval: expiryS } };
    this.#client.publish(topic, text, { qos: 1, retain, ...properties }, (error) => {
      if (error !== undefined && error !== null) {
        this.#o.log.warn({ topic, error: errorMessage(error) }, 'a message to a box was not sent');
      }
    });
  }

  #ackSoon(site: string, box: string): void {
    this.#due.add(`${site}/${box}`);
    if (this.#acking) return;
    this.#acking = true;
    this.#o.clock.sleep(this.#o.ackDelayMs ?? 100, this.#stop.signal).then(
      () => {
        this.#acking = false;
        this.#keep();
        const due = [...this.#due];
        this.#due.clear();
        for (const name of due) this.#ack(name);
      },
      () => undefined,
    );
  }

  /** One write for all that came meanwhile; what a crash loses before it was never acknowledged and comes again. */
  #keep(): void {
    const arrived = this.#arrived.splice(0);
    if (arrived.length > 0 && this.#o.db.addEvents(arrived) > 0) this.#o.changed('event');
  }

  #ack(name: string): void {
    const [site, box] = name.split('/') as [string, string];
    const ack: Ack = {
      schema: 1,
      box,
      ts: toUtc(this.#o.clock.now()),
      streams: this.#o.db.streams(site, box),
      heartbeat: this.#nonces.get(name) ?? null,
    };
    const text = signJws(ACK_TYPE, ack, this.#o.signer);
    this.#client.publish(topics(site, box).ack, text, { qos: 1 }, (error) => {
      if (error !== undefined && error !== null) {
        this.#o.log.warn({ box: name, error: errorMessage(error) }, 'an acknowledgement was not sent');
      }
    });
  }
}
