import { BluelightError } from '../base/errors.js';
import type { EventChannel } from './driver.js';
import { readNotices, type Notice } from './event-notices.js';
import { readPlace, type ServicePlace } from './onvif-replies.js';
import { escapeXml, type OnvifSession } from './onvif-session.js';
import { descendants, textAt, type XmlNode } from './xml.js';

const EVENTS = 'http://www.onvif.org/ver10/events/wsdl';
const NOTIFICATION = 'http://docs.oasis-open.org/wsn/b-2';
/** Cameras take no more than a few messages at a time well. */
const MESSAGE_LIMIT = 100;

/** One PullPoint subscription (ONVIF Core §9.2). All its requests go to the camera itself, wherever it says it is. */
export class OnvifEvents implements EventChannel {
  private constructor(
    private readonly session: OnvifSession,
    private readonly place: ServicePlace,
    /** For the SOAP header: the address as the camera named it, and its reference parameters. */
    private readonly header: string,
    private readonly owned: boolean,
  ) {}

  /** Logs in and subscribes. Errors: those of the driver; CAMERA_NO_EVENTS. */
  static async open(session: OnvifSession): Promise<OnvifEvents> {
    try {
      await session.login();
      await session.findServices();
      return await OnvifEvents.#subscribe(session, true);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** Subscribes in a session that is logged in and stays its owner's. */
  static attach(session: OnvifSession): Promise<OnvifEvents> {
    return OnvifEvents.#subscribe(session, false);
  }

  static async #subscribe(session: OnvifSession, owned: boolean): Promise<OnvifEvents> {
    const service = session.service('events');
    if (service === undefined) throw new BluelightError('CAMERA_NO_EVENTS', 'the camera has no event service');
    const reply = await session.ask({
      step: 'subscription',
      place: service,
      action: `${EVENTS}/EventPortType/CreatePullPointSubscriptionRequest`,
      body:
        `<CreatePullPointSubscription xmlns="${EVENTS}"><InitialTerminationTime>${LIFE}</InitialTerminationTime>` +
        '</CreatePullPointSubscription>',
    });
    const reference = descendants(reply, 'SubscriptionReference')[0];
    const address = textAt(reference, 'Address');
    const place = readPlace(address, session.endpoint);
    if (reference === undefined || place === undefined) {
      throw new BluelightError('CAMERA_INVALID', 'the camera names no address for its events');
    }
    const header = `<a:To>${escapeXml(address)}</a:To>${referenceParameters(reference)}`;
    return new OnvifEvents(session, place, header, owned);
  }

  /** Waits for messages on the camera's side for at most `waitMs`. */
  async pull(waitMs: number): Promise<Notice[]> {
    const seconds = Math.max(1, Math.round(waitMs / 1000));
    const reply = await this.#ask(
      'PullMessages',
      `${EVENTS}/PullPointSubscription/PullMessagesRequest`,
      `<PullMessages xmlns="${EVENTS}"><Timeout>PT${String(seconds)}S</Timeout>` +
        `<MessageLimit>${String(MESSAGE_LIMIT)}</MessageLimit></PullMessages>`,
      waitMs,
    );
    return readNotices(reply);
  }

  async renew(): Promise<void> {
    const body = `<Renew xmlns="${NOTIFICATION}"><TerminationTime>${LIFE}</TerminationTime></Renew>`;
    await this.#ask('Renew', 'http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest', body);
  }

  /** Asks for the state of everything, as it is now. */
  async synchronise(): Promise<void> {
    const body = `<SetSynchronizationPoint xmlns="${EVENTS}"/>`;
    try {
      await this.#ask('synchronise', `${EVENTS}/PullPointSubscription/SetSynchronizationPointRequest`, body);
    } catch (error) {
      this.session.rethrowIfFatal(error, 'SetSynchronizationPoint');
    }
  }

  /** Cameras have few subscriptions; one that is not given back is one less until it runs out. */
  async unsubscribe(): Promise<void> {
    try {
      const action = 'http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest';
      await this.#ask('unsubscribe', action, `<Unsubscribe xmlns="${NOTIFICATION}"/>`);
    } catch {
      // It ends by itself; the camera may be gone.
    } finally {
      if (this.owned) this.session.close();
    }
  }

  /** Breaks a pull that runs. */
  abort(): void {
    if (this.owned) this.session.close();
  }

  #ask(step: string, action: string, body: string, waitMs = 0): Promise<XmlNode> {
    return this.session.ask({ step, place: this.place, action, body, header: this.header, waitMs });
  }
}

/** Long enough to lose no subscription to a short outage, short enough for what is lost to go away. */
const LIFE = 'PT10M';

/** Axis names a subscription by a reference parameter instead of its address (WS-Addressing 1.0 §3.3). */
function referenceParameters(reference: XmlNode): string {
  const parameters = descendants(reference, 'ReferenceParameters')[0]?.children ?? [];
  return parameters
    .slice(0, 8)
    .filter(({ name }) => /^[A-Za-z_][\w.-]{0,60}$/.test(name))
    .map(
      ({ name, text }) =>
        `<${name} xmlns="http://www.axis.com/2009/event" a:IsReferenceParameter="true">${escapeXml(text)}</${name}>`,
    ) // prettier-ignore
    .join('');
}
