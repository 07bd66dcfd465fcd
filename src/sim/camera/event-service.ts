import type { Clock } from '../../base/clock.js';
import { isAbort } from '../../base/errors.js';
import type { CameraFaults } from './options.js';
import { escapeXml } from './soap.js';

/** A property that sensors have, by topic and source (ONVIF Core, chapter 9, property events). */
export interface Property {
  topic: string;
  source: [name: string, value: string];
  data: [name: string, value: string];
}

interface Subscription {
  queue: string[];
  endsMono: number;
  wake: AbortController;
}

/** What the server sends: an answer, a SOAP fault, or a bare HTTP status. */
export type EventVerdict = { xml: string } | { fault: string } | { status: number };

type Field = (name: string) => string | undefined;

/** Cameras allow few, and forget none before it runs out. */
const MAX_SUBSCRIPTIONS = 5;
const MAX_QUEUE = 200;
const DEFAULT_LIFE_MS = 60_000;
const MAX_LIFE_MS = 600_000;
export const EVENT_PATH = '/onvif/event_service';

/** PullPoint subscriptions of one device (ONVIF Core §9.2, WS-BaseNotification 1.3). */
export class EventService {
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #properties = new Map<string, Property>();
  #next = 1;

  constructor(
    private readonly clock: Clock,
    private readonly faults: Readonly<CameraFaults>,
    /** The camera's own time. */
    private readonly nowMs: () => number,
    /** How the device names a path of its own. */
    private readonly addressOf: (path: string) => string,
  ) {}

  get subscriptions(): number {
    this.#expire();
    return this.#subscriptions.size;
  }

  set(property: Property): void {
    this.#properties.set(`${property.topic} ${property.source[1]}`, property);
    for (const subscription of this.#subscriptions.values()) this.#tell(subscription, property, 'Changed');
  }

  /** Everything is forgotten, as by a reboot. */
  clear(): void {
    for (const { wake } of this.#subscriptions.values()) wake.abort();
    this.#subscriptions.clear();
  }

  async answer(action: string, path: string, field: Field): Promise<EventVerdict> {
    const { events } = this.faults;
    if (events === 'unavailable') return { status: 503 };
    if (events === 'forgets' && action !== 'CreatePullPointSubscription') this.clear();
    this.#expire();
    if (action === 'GetServiceCapabilities' || action === 'GetEventProperties') {
      return { xml: `<tev:${action}Response/>` };
    }
    if (action === 'CreatePullPointSubscription') return this.#create(field('InitialTerminationTime'));
    return this.#of(path.replace(/^.*\//, ''), action, field);
  }

  #create(life: string | undefined): EventVerdict {
    if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS) return { fault: 'maximum number of subscriptions reached' };
    const id = String(this.#next++);
    const subscription = { queue: [], endsMono: 0, wake: new AbortController() };
    this.#subscriptions.set(id, subscription);
    this.#extend(subscription, life);
    this.#synchronise(subscription);
    return {
      xml:
        '<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>' +
        `<wsa:Address>${escapeXml(this.addressOf(`${EVENT_PATH}/${id}`))}</wsa:Address></tev:SubscriptionReference>` +
        `${this.#times(subscription, 'wsnt')}</tev:CreatePullPointSubscriptionResponse>`,
    };
  }

  async #of(id: string, action: string, field: Field): Promise<EventVerdict> {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return { fault: 'no such subscription' };
    switch (action) {
      case 'PullMessages':
        return this.#pull(subscription, field);
      case 'Renew':
        this.#extend(subscription, field('TerminationTime'));
        return { xml: `<wsnt:RenewResponse>${this.#times(subscription, 'wsnt')}</wsnt:RenewResponse>` };
      case 'SetSynchronizationPoint':
        this.#synchronise(subscription);
        return { xml: '<tev:SetSynchronizationPointResponse/>' };
      case 'Unsubscribe':
        this.#subscriptions.delete(id);
        subscription.wake.abort();
        return { xml: '<wsnt:UnsubscribeResponse/>' };
      default:
        return { fault: 'optional action not implemented' };
    }
  }

  async #pull(subscription: Subscription, field: Field): Promise<EventVerdict> {
    if (this.faults.events === 'flood') this.#flood(subscription);
    if (subscription.queue.length === 0) {
      subscription.wake = new AbortController();
      try {
        await this.clock.sleep(Math.min(duration(field('Timeout')) ?? 0, 60_000), subscription.wake.signal);
      } catch (error) {
        if (!isAbort(error)) throw error;
      }
    }
    const limit = Number(field('MessageLimit') ?? '100');
    const messages = subscription.queue.splice(0, limit > 0 ? limit : 1);
    const times = this.#times(subscription, 'tev');
    return { xml: `<tev:PullMessagesResponse>${times}${messages.join('')}</tev:PullMessagesResponse>` };
  }

  #extend(subscription: Subscription, life: string | undefined): void {
    subscription.endsMono = this.clock.monotonic() + Math.min(duration(life) ?? DEFAULT_LIFE_MS, MAX_LIFE_MS);
  }

  #expire(): void {
    const now = this.clock.monotonic();
    for (const [id, { endsMono }] of this.#subscriptions) if (endsMono <= now) this.#subscriptions.delete(id);
  }

  #synchronise(subscription: Subscription): void {
    for (const property of this.#properties.values()) this.#tell(subscription, property, 'Initialized');
  }

  #flood(subscription: Subscription): void {
    for (let i = 0; i < MAX_QUEUE; i++) {
      const data: [string, string] = ['State', i % 2 === 0 ? 'true' : 'false'];
      const property: Property = { topic: 'tns1:VideoSource/MotionAlarm', source: ['Source', 'source_1'], data };
      this.#tell(subscription, property, 'Changed');
    }
  }

  #tell(subscription: Subscription, { topic, source, data }: Property, operation: string): void {
    if (subscription.queue.length >= MAX_QUEUE) subscription.queue.shift();
    const item = ([name, value]: [string, string]): string =>
      `<tt:SimpleItem Name="${escapeXml(name)}" Value="${escapeXml(value)}"/>`;
    subscription.queue.push(
      '<wsnt:NotificationMessage><wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">' +
        `${topic}</wsnt:Topic><wsnt:Message><tt:Message UtcTime="${this.#time(this.nowMs())}" ` +
        `PropertyOperation="${operation}"><tt:Source>${item(source)}</tt:Source><tt:Data>${item(data)}</tt:Data>` +
        '</tt:Message></wsnt:Message></wsnt:NotificationMessage>',
    );
    subscription.wake.abort();
  }

  #times(subscription: Subscription, prefix: string): string {
    if (this.faults.events === 'no_dates') return '';
    const now = this.nowMs();
    const left = subscription.endsMono - this.clock.monotonic();
    const at = (name: string, ms: number): string => `<${prefix}:${name}>${this.#time(ms)}</${prefix}:${name}>`;
    return at('CurrentTime', now) + at('TerminationTime', now + left);
  }

  #time(ms: number): string {
    // As some firmware writes it before it has a time.
    if (this.faults.events === 'bad_dates') return '0000-00-00T00:00:00+00:00';
    return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}

/** `PT1M30S` in ms (XML Schema duration, hours and below). */
function duration(text: string | undefined): number | undefined {
  const match = /^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?$/.exec(text ?? '');
  if (match === null) return undefined;
  const [, hours = '0', minutes = '0', seconds = '0'] = match;
  return (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1000;
}
