import { escapeXml, type OnvifSession } from './onvif-session.js';
import type { XmlNode } from './xml.js';

export const SCHEMA = 'http://www.onvif.org/ver10/schema';

type MediaService = 'media' | 'media2';

const NAMESPACES: Record<MediaService, string> = {
  media: 'http://www.onvif.org/ver10/media/wsdl',
  media2: 'http://www.onvif.org/ver20/media/wsdl',
};

/** Calls of either media service, at the place that the device named for it: some have it on a port of its own. */
export function getProfiles(session: OnvifSession): Promise<XmlNode> {
  return askMedia(session, 'GetProfiles', { media: '', media2: '<Type>All</Type>' });
}

export function getStreamUri(session: OnvifSession, profile: string): Promise<XmlNode> {
  const token = `<ProfileToken>${escapeXml(profile)}</ProfileToken>`;
  const transport = `<Transport xmlns="${SCHEMA}"><Protocol>RTSP</Protocol></Transport>`;
  return askMedia(session, 'GetStreamUri', {
    media: `<StreamSetup><Stream xmlns="${SCHEMA}">RTP-Unicast</Stream>${transport}</StreamSetup>${token}`,
    media2: `<Protocol>RTSP</Protocol>${token}`,
  });
}

export function getSnapshotUri(session: OnvifSession, profile: string): Promise<XmlNode> {
  const token = `<ProfileToken>${escapeXml(profile)}</ProfileToken>`;
  return askMedia(session, 'GetSnapshotUri', { media: token, media2: token });
}

/** Sends the camera a configuration of its own back; `inside` is the content of the configuration. */
export function setVideoEncoder(session: OnvifSession, configuration: string): Promise<XmlNode> {
  return askMedia(session, 'SetVideoEncoderConfiguration', {
    media: `${configuration}<ForcePersistence>true</ForcePersistence>`,
    media2: configuration,
  });
}

function askMedia(session: OnvifSession, action: string, inside: Record<MediaService, string>): Promise<XmlNode> {
  const service = session.media2 ? 'media2' : 'media';
  const namespace = NAMESPACES[service];
  return session.ask({
    step: action,
    // A device that names no media service at all is asked where everything else is.
    place: session.service(service) ?? session.endpoint,
    action: `${namespace}/${action}`,
    body: `<${action} xmlns="${namespace}">${inside[service]}</${action}>`,
  });
}
