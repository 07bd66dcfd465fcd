import type { Endpoint } from './addresses.js';
import { child, descendants, plainText, textAt, type XmlNode } from './xml.js';
import type { DeviceInfo } from './driver.js';
import type { StreamOffer } from './pick-streams.js';

/** What is read from the replies of ONVIF services. All tolerate missing parts; nothing here throws. */

/** The camera's UTC time, ms since 1970, if it gives one (GetSystemDateAndTime). */
export function readCameraTime(reply: XmlNode): number | undefined {
  const when = descendants(reply, 'UTCDateTime')[0];
  const number = (...path: string[]): number => Number(textAt(when, ...path) || NaN);
  const ms = Date.UTC(
    number('Date', 'Year'),
    number('Date', 'Month') - 1,
    number('Date', 'Day'),
    number('Time', 'Hour'),
    number('Time', 'Minute'),
    number('Time', 'Second'),
  );
  return Number.isFinite(ms) ? ms : undefined;
}

export function readDeviceInfo(reply: XmlNode): Omit<DeviceInfo, 'mac'> {
  const text = (name: string): string => plainText(descendants(reply, name)[0]?.text ?? '');
  return {
    make: text('Manufacturer'),
    model: text('Model'),
    firmware: text('FirmwareVersion'),
    serial: text('SerialNumber'),
  };
}

/** Hardware address of the first interface that is enabled (GetNetworkInterfaces); '' if there is none. */
export function readMac(reply: XmlNode): string {
  const interfaces = descendants(reply, 'NetworkInterfaces');
  const enabled = interfaces.find((one) => textAt(one, 'Enabled') === 'true') ?? interfaces[0];
  const digits = textAt(enabled, 'Info', 'HwAddress')
    .toLowerCase()
    .replace(/[^0-9a-f]/g, '');
  return digits.length === 12 ? digits.match(/../g)!.join(':') : '';
}

export type ServiceName = 'device' | 'media' | 'media2' | 'deviceio' | 'events';

/** Where a service is on the camera itself. */
export interface ServicePlace {
  path: string;
  port: number;
}

const NAMESPACES: readonly [ServiceName, RegExp][] = [
  ['media', /\/ver10\/media\/wsdl/],
  ['media2', /\/ver20\/media\/wsdl/],
  ['deviceio', /\/ver10\/deviceIO\/wsdl/i],
  ['events', /\/ver10\/events\/wsdl/],
];

/** The services of a device (GetServices, or GetCapabilities of older ones), all moved to the device itself. */
export function readServices(reply: XmlNode, endpoint: Endpoint): Partial<Record<ServiceName, ServicePlace>> {
  const found: Partial<Record<ServiceName, ServicePlace>> = {};
  for (const service of descendants(reply, 'Service')) {
    const place = readPlace(textAt(service, 'XAddr'), endpoint);
    const name = NAMESPACES.find(([, pattern]) => pattern.test(textAt(service, 'Namespace')))?.[0];
    if (place !== undefined && name !== undefined) found[name] ??= place;
  }
  const capabilities = descendants(reply, 'Capabilities')[0];
  const older = (...path: string[]): ServicePlace | undefined => readPlace(textAt(capabilities, ...path), endpoint);
  const media = older('Media', 'XAddr');
  const events = older('Events', 'XAddr');
  const deviceio = older('Extension', 'DeviceIO', 'XAddr');
  return {
    ...(media === undefined ? {} : { media }),
    ...(events === undefined ? {} : { events }),
    ...(deviceio === undefined ? {} : { deviceio }),
    ...found,
  };
}

/**
 * An address that a camera names for a service of its own, without its host: no request follows it elsewhere. Its port
 * counts only where the host is the right one; behind address translation it belongs to the inside.
 */
export function readPlace(xaddr: string, endpoint: Endpoint): ServicePlace | undefined {
  if (!URL.canParse(xaddr)) return undefined;
  const url = new URL(xaddr);
  const secure = url.protocol === 'https:';
  if (!secure && url.protocol !== 'http:') return undefined;
  const own = url.hostname.replace(/^\[|\]$/g, '') === endpoint.host && secure === endpoint.secure;
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { path: url.pathname + url.search, port: own ? port : endpoint.port };
}

export type ProfileOffer = Omit<StreamOffer, 'uri'> & { source: string };

const MAX_PROFILES = 128;

/** Profiles with a video encoder, of Media1 or Media2 (GetProfiles). */
export function readProfiles(reply: XmlNode): ProfileOffer[] {
  return descendants(reply, 'Profiles')
    .slice(0, MAX_PROFILES)
    .flatMap((profile) => {
      const parts = child(profile, 'Configurations') ?? profile;
      const source = child(parts, 'VideoSourceConfiguration') ?? child(parts, 'VideoSource');
      const encoder = child(parts, 'VideoEncoderConfiguration') ?? child(parts, 'VideoEncoder');
      const token = profile.attributes.get('token');
      if (encoder === undefined || token === undefined || token === '') return [];
      return [
        {
          profile: token,
          source: textAt(source, 'SourceToken'),
          codec: readCodec(textAt(encoder, 'Encoding')),
          width: whole(textAt(encoder, 'Resolution', 'Width')),
          height: whole(textAt(encoder, 'Resolution', 'Height')),
          fps: whole(textAt(encoder, 'RateControl', 'FrameRateLimit')),
        },
      ];
    });
}

function readCodec(encoding: string): StreamOffer['codec'] {
  const name = encoding.toUpperCase().replace(/[^A-Z0-9]/g, '');
  if (name === 'H264') return 'h264';
  return name === 'H265' || name === 'HEVC' ? 'h265' : 'other';
}

function whole(text: string): number {
  const value = Math.round(Number(text));
  return Number.isFinite(value) && value >= 0 && value < 100_000 ? value : 0;
}

/** The address in a GetStreamUri or GetSnapshotUri reply of either media service. */
export function readUri(reply: XmlNode): string | undefined {
  const uri = descendants(reply, 'Uri')[0]?.text;
  return uri === undefined || uri === '' ? undefined : uri;
}
