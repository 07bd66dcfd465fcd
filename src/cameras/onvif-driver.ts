import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import { pinToHost } from './addresses.js';
import type { CameraDriver, ChannelOffer, ConnectedDevice, Login } from './driver.js';
import { setClock, setSubGop, restoreGop } from './onvif-encoder.js';
import { OnvifEvents } from './onvif-events.js';
import { listIo, setRelay } from './onvif-io.js';
import { getProfiles, getSnapshotUri, getStreamUri } from './onvif-media.js';
import { readMac, readProfiles, readUri, type ProfileOffer } from './onvif-replies.js';
import { OnvifSession } from './onvif-session.js';
import type { StreamOffer } from './pick-streams.js';

/** ONVIF through the package `onvif`: it speaks SOAP and both ways of logging in, we read the replies. */
export function onvifDriver(clock: Clock, log: Log): CameraDriver {
  const during = async <T>(session: OnvifSession, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } finally {
      session.close();
    }
  };
  const loggedIn = <T>(
    endpoint: OnvifSession['endpoint'],
    credentials: Login,
    work: (session: OnvifSession) => Promise<T>,
  ): Promise<T> => {
    const session = new OnvifSession(endpoint, credentials, clock, log);
    return during(session, async () => {
      await session.login();
      await session.findServices();
      return work(session);
    });
  };
  return {
    greet(endpoint) {
      const session = new OnvifSession(endpoint, undefined, clock, log);
      return during(session, async () => ({
        clockOffsetMs: await session.readTime(),
        certificate: session.certificate,
      }));
    },
    identify(endpoint, credentials) {
      const session = new OnvifSession(endpoint, credentials, clock, log);
      return during(session, async () => {
        const { info } = await session.login();
        return { ...info, mac: await macOf(session) };
      });
    },
    connect(endpoint, credentials) {
      const session = new OnvifSession(endpoint, credentials, clock, log);
      return during(session, () => connect(session));
    },
    io: (endpoint, credentials) => loggedIn(endpoint, credentials, listIo),
    setRelay: (endpoint, credentials, token, active) =>
      loggedIn(endpoint, credentials, (session) => setRelay(session, clock, token, active)),
    events: (endpoint, credentials) => OnvifEvents.open(new OnvifSession(endpoint, credentials, clock, log)),
    setClock: (endpoint, credentials, ms) => loggedIn(endpoint, credentials, (session) => setClock(session, ms)),
    setSubGop: (endpoint, credentials, profile, seconds) =>
      loggedIn(endpoint, credentials, (session) => setSubGop(session, profile, seconds)),
    restoreGop: (endpoint, credentials, profile, gov) =>
      loggedIn(endpoint, credentials, (session) => restoreGop(session, profile, gov)),
  };
}

async function connect(session: OnvifSession): Promise<ConnectedDevice> {
  const { offset, info } = await session.login();
  await session.findServices();
  const mac = await macOf(session);
  const channels = await channelsOf(session);
  return {
    info: { ...info, mac },
    clockOffsetMs: offset,
    certificate: session.certificate,
    channels,
    snapshotUri: (profile) => snapshotUri(session, profile),
  };
}

async function macOf(session: OnvifSession): Promise<string> {
  try {
    return readMac(await session.askDevice('GetNetworkInterfaces'));
  } catch (error) {
    session.rethrowIfFatal(error, 'GetNetworkInterfaces');
    return '';
  }
}

async function channelsOf(session: OnvifSession): Promise<ChannelOffer[]> {
  const sources = new Map<string, StreamOffer[]>();
  for (const { source, ...profile } of await profilesOf(session)) {
    const uri = await streamUri(session, profile.profile);
    if (uri === undefined) continue;
    sources.set(source, [...(sources.get(source) ?? []), { ...profile, uri }]);
  }
  return [...sources].map(([source, offers]) => ({ source, offers }));
}

/** Media2 first, since H.265 is invisible in Media1; then Media1, since some cameras' Media2 is broken. */
async function profilesOf(session: OnvifSession): Promise<ProfileOffer[]> {
  const ask = async (): Promise<ProfileOffer[]> => readProfiles(await getProfiles(session));
  if (session.media2) {
    try {
      const profiles = await ask();
      if (profiles.length > 0) return profiles;
    } catch (error) {
      session.rethrowIfFatal(error, 'Media2 GetProfiles');
    }
    if (!session.useMedia1()) return [];
  }
  return ask();
}

async function streamUri(session: OnvifSession, profile: string): Promise<string | undefined> {
  try {
    const uri = readUri(await getStreamUri(session, profile));
    return uri === undefined ? undefined : pinToHost(uri, session.endpoint.host, ['rtsp']);
  } catch (error) {
    session.rethrowIfFatal(error, `GetStreamUri of ${profile}`);
    return undefined;
  }
}

async function snapshotUri(session: OnvifSession, profile: string): Promise<string | undefined> {
  const uri = readUri(await getSnapshotUri(session, profile));
  return uri === undefined ? undefined : pinToHost(uri, session.endpoint.host, ['http', 'https']);
}
