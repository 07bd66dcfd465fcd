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

/** Paths of the media services (GetServices, or GetCapabilities of older devices). */
export function readServicePaths(reply: XmlNode): { media?: string; media2?: string } {
  const found: { media?: string; media2?: string } = {};
  for (const service of descendants(reply, 'Service')) {
    const path = pathOf(textAt(service, 'XAddr'));
    const namespace = textAt(service, 'Namespace');
    if (path !== undefined && /\/ver10\/media\/wsdl/.test(namespace)) found.media ??= path;
    if (path !== undefined && /\/ver20\/media\/wsdl/.test(namespace)) found.media2 ??= path;
  }
  const media = descendants(reply, 'Capabilities').map((one) => textAt(one, 'Media', 'XAddr'))[0];
  if (media !== undefined && media !== '') found.media ??= pathOf(media);
  return found;
}

function pathOf(xaddr: string): string | undefined {
  if (!URL.canParse(xaddr)) return undefined;
  const url = new URL(xaddr);
  return url.pathname + url.search;
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
