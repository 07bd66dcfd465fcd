import { errorCode, BluelightError } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import type { DeviceIo } from './driver.js';
import { OnvifEvents } from './onvif-events.js';
import { escapeXml, type OnvifSession } from './onvif-session.js';
import { descendants, type XmlNode } from './xml.js';

const DEVICE = 'http://www.onvif.org/ver10/device/wsdl';
const DEVICEIO = 'http://www.onvif.org/ver10/deviceIO/wsdl';

type IoService = 'device' | 'deviceio';

/** Until the camera must have told the state of a relay that it was asked to move. */
const CONFIRM_MS = 4_000;

/** Relay outputs and digital inputs, each with the service that lists it. */
export async function listIo(session: OnvifSession): Promise<DeviceIo> {
  const relays = new Map<string, IoService>();
  for (const service of ['deviceio', 'device'] as const) {
    const reply = await optional(session, service, 'GetRelayOutputs');
    for (const token of tokensOf(reply, 'RelayOutputs')) if (!relays.has(token)) relays.set(token, service);
  }
  const inputs = tokensOf(await optional(session, 'deviceio', 'GetDigitalInputs'), 'DigitalInputs');
  return { relays: [...relays].map(([token, service]) => ({ token, service })), inputs };
}

/**
 * Moves a relay by the service that lists it, and confirms by the state that the camera tells afterwards: some say yes
 * and do nothing. The standard has no call that reads a relay; its state comes as an event (ONVIF Core, Device/Trigger/Relay).
 * Errors: RELAY_UNKNOWN, RELAY_STUCK. `confirmed` is false where the camera tells no state.
 */
export async function setRelay(
  session: OnvifSession,
  clock: Clock,
  token: string,
  active: boolean,
): Promise<{ confirmed: boolean }> {
  const { relays } = await listIo(session);
  const relay = relays.find((one) => one.token === token);
  if (relay === undefined) {
    throw new BluelightError('RELAY_UNKNOWN', `the camera has no relay "${token}"`, {
      fix: relays.length === 0 ? 'it lists none at all' : `it has: ${relays.map((one) => one.token).join(', ')}`,
    });
  }
  const state = active ? 'active' : 'inactive';
  // Its elements belong to the device service's namespace in both services (ONVIF DeviceIO, SetRelayOutputState).
  await session.ask({
    step: 'relay',
    place: placeOf(session, relay.service)!,
    action: `${DEVICE}/SetRelayOutputState`,
    body:
      `<SetRelayOutputState xmlns="${DEVICE}"><RelayOutputToken>${escapeXml(token)}</RelayOutputToken>` +
      `<LogicalState>${state}</LogicalState></SetRelayOutputState>`,
  });
  const told = await relayState(session, clock, token, active);
  if (told === undefined) return { confirmed: false };
  if (told === active) return { confirmed: true };
  throw new BluelightError('RELAY_STUCK', `the camera took the command, but its relay is not ${state}`, {
    fix: 'check the wiring and the relay mode on the camera (bistable is needed)',
  });
}

/** The state that the camera tells within a while: the wanted one as soon as it comes, else the last. */
async function relayState(
  session: OnvifSession,
  clock: Clock,
  token: string,
  wanted: boolean,
): Promise<boolean | undefined> {
  let last: boolean | undefined;
  try {
    const events = await OnvifEvents.attach(session);
    try {
      await events.synchronise();
      const until = clock.monotonic() + CONFIRM_MS;
      while (last !== wanted && clock.monotonic() < until) {
        for (const notice of await events.pull(1_000)) {
          if (notice.kind === 'relay' && notice.source === token && notice.active !== null) last = notice.active;
        }
        if (last !== wanted) await clock.sleep(200);
      }
    } finally {
      await events.unsubscribe();
    }
  } catch (error) {
    session.rethrowIfFatal(error, 'the state of a relay');
  }
  return last;
}

function placeOf(session: OnvifSession, service: IoService): ReturnType<OnvifSession['service']> {
  return session.service(service);
}

async function optional(session: OnvifSession, service: IoService, what: string): Promise<XmlNode | undefined> {
  const place = placeOf(session, service);
  if (place === undefined) return undefined;
  const namespace = service === 'device' ? DEVICE : DEVICEIO;
  try {
    return await session.ask({
      step: what,
      place,
      action: `${namespace}/${what}`,
      body: `<${what} xmlns="${namespace}"/>`,
    });
  } catch (error) {
    if (errorCode(error) !== 'CAMERA_INVALID') throw error;
    return undefined;
  }
}

function tokensOf(reply: XmlNode | undefined, element: string): string[] {
  if (reply === undefined) return [];
  const tokens = descendants(reply, element).map((one) => one.attributes.get('token') ?? '');
  return tokens.filter((token) => token !== '').slice(0, 64);
}
