import { EVENT_PATH } from './event-service.js';
import type { EncodingOptions } from './options.js';
import { escapeXml } from './soap.js';

/** What a device says about itself. */
export interface DeviceFacts {
  id: string;
  address(): string;
  manufacturer: string;
  model: string;
  firmware: string;
  serial: string;
  mac: string;
  /** `http://host:port`, as the device names itself. */
  base(): string;
  /** The same for all services but the device service. */
  servicesBase(): string;
  profiles: ProfileFacts[];
  nowMs(): number;
  setClock(ms: number): void;
  /** Whether each relay is closed. */
  relays: boolean[];
  inputs: number;
  relayService: 'device' | 'deviceio';
  events: boolean;
  setRelay(index: number, closed: boolean): void;
}

export interface ProfileFacts {
  token: string;
  channel: number;
  role: 'main' | 'sub';
  /** As it is now. */
  readonly encoding: EncodingOptions;
  /** Other settings of the encoder; resolves when the stream shows them. */
  change(change: Partial<EncodingOptions>): Promise<void>;
  streamUri(): string;
  snapshotUri(): string;
}

export const SERVICES = {
  device: { namespace: 'http://www.onvif.org/ver10/device/wsdl', path: '/onvif/device_service', version: [2, 60] },
  media: { namespace: 'http://www.onvif.org/ver10/media/wsdl', path: '/onvif/media_service', version: [2, 60] },
  deviceio: {
    ...{ namespace: 'http://www.onvif.org/ver10/deviceIO/wsdl', path: '/onvif/deviceio_service' },
    version: [2, 60],
  },
  events: { namespace: 'http://www.onvif.org/ver10/events/wsdl', path: EVENT_PATH, version: [2, 60] },
  media2: { namespace: 'http://www.onvif.org/ver20/media/wsdl', path: '/onvif/media2_service', version: [2, 60] },
} as const;

/** Services that this device has. */
export function servicesOf(facts: Pick<DeviceFacts, 'relays' | 'inputs' | 'relayService' | 'events'>): Service[] {
  const { deviceio, events, ...always } = SERVICES;
  const hasIo = facts.inputs > 0 || (facts.relays.length > 0 && facts.relayService === 'deviceio');
  return [...Object.values(always), ...(hasIo ? [deviceio] : []), ...(facts.events ? [events] : [])];
}

export type Service = (typeof SERVICES)[keyof typeof SERVICES];

export function sourceToken(channel: number): string {
  return `source_${String(channel)}`;
}

export function scopesOf(facts: Pick<DeviceFacts, 'id' | 'model'>): string[] {
  const name = encodeURIComponent(facts.id);
  return [
    'onvif://www.onvif.org/type/video_encoder',
    'onvif://www.onvif.org/type/Network_Video_Transmitter',
    'onvif://www.onvif.org/Profile/Streaming',
    'onvif://www.onvif.org/Profile/T',
    `onvif://www.onvif.org/hardware/${encodeURIComponent(facts.model)}`,
    `onvif://www.onvif.org/name/${name}`,
    'onvif://www.onvif.org/location/simulated',
  ];
}

type Field = (name: string) => string | undefined;
type Answer = (facts: DeviceFacts, field: Field) => string | undefined | Promise<string | undefined>;

/** Device service (ONVIF Core, chapter 8). `undefined` = the request names something that does not exist. */
export const DEVICE_ANSWERS: Record<string, Answer> = {
  GetSystemDateAndTime: (facts) => dateAndTime(facts.nowMs()),
  GetDeviceInformation: (facts) =>
    wrap(
      'tds:GetDeviceInformationResponse',
      text('tds:Manufacturer', facts.manufacturer) +
        text('tds:Model', facts.model) +
        text('tds:FirmwareVersion', facts.firmware) +
        text('tds:SerialNumber', facts.serial) +
        text('tds:HardwareId', 'virtual'),
    ),
  GetCapabilities: (facts) => capabilities(facts),
  GetServices: (facts) =>
    wrap(
      'tds:GetServicesResponse',
      servicesOf(facts)
        .map((service) => serviceEntry(facts, service))
        .join(''),
    ),
  SetSystemDateAndTime: (facts, field) => {
    const part = (name: string): number => Number(field(name) ?? NaN);
    const ms = Date.UTC(
      ...([part('Year'), part('Month') - 1, part('Day'), part('Hour'), part('Minute'), part('Second')] as const),
    );
    if (!Number.isFinite(ms)) return undefined;
    facts.setClock(ms);
    return '<tds:SetSystemDateAndTimeResponse/>';
  },
  GetRelayOutputs: (facts) => relayOutputs('tds', facts, 'device'),
  SetRelayOutputState: (facts, field) => setRelay('tds', facts, 'device', field),
  GetServiceCapabilities: () =>
    '<tds:GetServiceCapabilitiesResponse><tds:Capabilities><tds:Network/><tds:Security UsernameToken="true" ' +
    'HttpDigest="true"/><tds:System/></tds:Capabilities></tds:GetServiceCapabilitiesResponse>',
  GetScopes: (facts) =>
    wrap(
      'tds:GetScopesResponse',
      scopesOf(facts)
        .map((s) => wrap('tds:Scopes', text('tt:ScopeDef', 'Fixed') + text('tt:ScopeItem', s)))
        .join(''),
    ),
  GetHostname: (facts) =>
    wrap(
      'tds:GetHostnameResponse',
      wrap('tds:HostnameInformation', text('tt:FromDHCP', 'false') + text('tt:Name', facts.id)),
    ),
  GetNetworkInterfaces: (facts) =>
    '<tds:GetNetworkInterfacesResponse><tds:NetworkInterfaces token="eth0"><tt:Enabled>true</tt:Enabled><tt:Info>' +
    `<tt:Name>eth0</tt:Name>${text('tt:HwAddress', facts.mac)}<tt:MTU>1500</tt:MTU></tt:Info><tt:IPv4>` +
    '<tt:Enabled>true</tt:Enabled><tt:Config><tt:Manual>' +
    `${text('tt:Address', facts.address())}<tt:PrefixLength>24</tt:PrefixLength></tt:Manual><tt:DHCP>false</tt:DHCP>` +
    '</tt:Config></tt:IPv4></tds:NetworkInterfaces></tds:GetNetworkInterfacesResponse>',
};

/** DeviceIO service (ONVIF DeviceIO). */
export const DEVICEIO_ANSWERS: Record<string, Answer> = {
  GetRelayOutputs: (facts) => relayOutputs('tmd', facts, 'deviceio'),
  SetRelayOutputState: (facts, field) => setRelay('tmd', facts, 'deviceio', field),
  GetDigitalInputs: (facts) =>
    wrap(
      'tmd:GetDigitalInputsResponse',
      Array.from(
        { length: facts.inputs },
        (_, i) => `<tmd:DigitalInputs token="${inputToken(i + 1)}" IdleState="open"/>`,
      ).join(''),
    ),
};

export function relayToken(number: number): string {
  return `relay_${String(number)}`;
}

export function inputToken(number: number): string {
  return `input_${String(number)}`;
}

function relayOutputs(prefix: string, facts: DeviceFacts, service: DeviceFacts['relayService']): string {
  const list = facts.relayService === service ? facts.relays : [];
  const properties =
    '<tt:Properties><tt:Mode>Bistable</tt:Mode><tt:DelayTime>PT0S</tt:DelayTime><tt:IdleState>open</tt:IdleState></tt:Properties>';
  const entries = list.map((_, i) => `<${prefix}:RelayOutputs token="${relayToken(i + 1)}">${properties}</${prefix}:RelayOutputs>`); // prettier-ignore
  return wrap(`${prefix}:GetRelayOutputsResponse`, entries.join(''));
}

function setRelay(prefix: string, facts: DeviceFacts, service: string, field: Field): string | undefined {
  const done = `<${prefix}:SetRelayOutputStateResponse/>`;
  // The service that does not move the relays says yes all the same.
  if (facts.relayService !== service) return done;
  const index = facts.relays.findIndex((_, i) => relayToken(i + 1) === field('RelayOutputToken'));
  if (index < 0) return undefined;
  facts.setRelay(index, field('LogicalState') === 'active');
  return done;
}

/** Media service, version 10 (ONVIF Media). */
export const MEDIA_ANSWERS: Record<string, Answer> = {
  GetProfiles: (facts) =>
    wrap('trt:GetProfilesResponse', facts.profiles.map((p) => profile1('trt:Profiles', p)).join('')),
  GetProfile: (facts, field) => {
    const found = find(facts, field('ProfileToken'));
    return found === undefined ? undefined : wrap('trt:GetProfileResponse', profile1('trt:Profile', found));
  },
  GetVideoSources: (facts) =>
    wrap(
      'trt:GetVideoSourcesResponse',
      channels(facts)
        .map((p) => videoSource(p.channel, p.encoding))
        .join(''),
    ),
  GetVideoSourceConfigurations: (facts) =>
    wrap(
      'trt:GetVideoSourceConfigurationsResponse',
      channels(facts)
        .map((p) => sourceConfiguration('trt:Configurations', p))
        .join(''),
    ),
  GetVideoEncoderConfigurations: (facts) =>
    wrap(
      'trt:GetVideoEncoderConfigurationsResponse',
      facts.profiles.map((p) => encoder1('trt:Configurations', p)).join(''),
    ),
  GetVideoEncoderConfiguration: (facts, field) => {
    const found = facts.profiles.find((p) => `encoder_${p.token}` === field('ConfigurationToken'));
    if (found === undefined) return undefined;
    return wrap('trt:GetVideoEncoderConfigurationResponse', encoder1('trt:Configuration', found));
  },
  SetVideoEncoderConfiguration: async (facts, field) => {
    const gov = Number(field('GovLength'));
    const done = await changeEncoder(facts, field('Name'), gov);
    return done ? '<trt:SetVideoEncoderConfigurationResponse/>' : undefined;
  },
  GetStreamUri: (facts, field) => mediaUri('trt:GetStreamUriResponse', find(facts, field('ProfileToken'))?.streamUri()),
  GetSnapshotUri: (facts, field) =>
    mediaUri('trt:GetSnapshotUriResponse', find(facts, field('ProfileToken'))?.snapshotUri()),
};

/** Media service, version 20 (ONVIF Media2). */
export const MEDIA2_ANSWERS: Record<string, Answer> = {
  GetProfiles: (facts) => wrap('tr2:GetProfilesResponse', facts.profiles.map(profile2).join('')),
  GetVideoSourceConfigurations: (facts) =>
    wrap(
      'tr2:GetVideoSourceConfigurationsResponse',
      channels(facts)
        .map((p) => sourceConfiguration('tr2:Configurations', p))
        .join(''),
    ),
  GetVideoEncoderConfigurations: (facts) =>
    wrap(
      'tr2:GetVideoEncoderConfigurationsResponse',
      facts.profiles.map((p) => encoder2('tr2:Configurations', p)).join(''),
    ),
  SetVideoEncoderConfiguration: async (facts, field) => {
    const done = await changeEncoder(facts, field('Name'), Number(field('@GovLength')));
    return done ? '<tr2:SetVideoEncoderConfigurationResponse/>' : undefined;
  },
  GetStreamUri: (facts, field) => uri2('tr2:GetStreamUriResponse', find(facts, field('ProfileToken'))?.streamUri()),
  GetSnapshotUri: (facts, field) =>
    uri2('tr2:GetSnapshotUriResponse', find(facts, field('ProfileToken'))?.snapshotUri()),
};

function wrap(name: string, inside: string): string {
  return `<${name}>${inside}</${name}>`;
}

function text(name: string, value: string | number): string {
  return wrap(name, escapeXml(String(value)));
}

function find(facts: DeviceFacts, token: string | undefined): ProfileFacts | undefined {
  return facts.profiles.find((profile) => profile.token === token);
}

/** Takes over the length of a GOP, pictures; the configuration of a profile bears the profile's name. */
async function changeEncoder(facts: DeviceFacts, name: string | undefined, gov: number): Promise<boolean> {
  const found = find(facts, name);
  if (found === undefined || !(gov >= 1 && gov <= 1_000)) return false;
  await found.change({ gopSeconds: gov / found.encoding.fps });
  return true;
}

/** One profile per video source. */
function channels(facts: DeviceFacts): ProfileFacts[] {
  return facts.profiles.filter((profile) => profile.role === 'main');
}

function dateAndTime(ms: number): string {
  const now = new Date(ms);
  const time =
    `<tt:Time><tt:Hour>${String(now.getUTCHours())}</tt:Hour><tt:Minute>${String(now.getUTCMinutes())}</tt:Minute>` +
    `<tt:Second>${String(now.getUTCSeconds())}</tt:Second></tt:Time>`;
  const date =
    `<tt:Date><tt:Year>${String(now.getUTCFullYear())}</tt:Year><tt:Month>${String(now.getUTCMonth() + 1)}</tt:Month>` +
    `<tt:Day>${String(now.getUTCDate())}</tt:Day></tt:Date>`;
  return (
    '<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType>' +
    '<tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>UTC0</tt:TZ></tt:TimeZone>' +
    `<tt:UTCDateTime>${time}${date}</tt:UTCDateTime><tt:LocalDateTime>${time}${date}</tt:LocalDateTime>` +
    '</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>'
  );
}

function capabilities(facts: DeviceFacts): string {
  const base = facts.base();
  return (
    '<tds:GetCapabilitiesResponse><tds:Capabilities>' +
    `<tt:Device><tt:XAddr>${base}${SERVICES.device.path}</tt:XAddr></tt:Device>` +
    `<tt:Media><tt:XAddr>${facts.servicesBase()}${SERVICES.media.path}</tt:XAddr><tt:StreamingCapabilities>` +
    '<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP><tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP>' +
    '</tt:StreamingCapabilities></tt:Media></tds:Capabilities></tds:GetCapabilitiesResponse>'
  );
}

function baseOf(facts: DeviceFacts, service: Service): string {
  return service.path === SERVICES.device.path ? facts.base() : facts.servicesBase();
}

function serviceEntry(facts: DeviceFacts, service: Service): string {
  const [major, minor] = service.version;
  return (
    `<tds:Service><tds:Namespace>${service.namespace}</tds:Namespace><tds:XAddr>${baseOf(facts, service)}${service.path}</tds:XAddr>` +
    `<tds:Version><tt:Major>${String(major)}</tt:Major><tt:Minor>${String(minor)}</tt:Minor></tds:Version></tds:Service>`
  );
}

function resolution(encoding: EncodingOptions): string {
  return wrap('tt:Resolution', text('tt:Width', encoding.width) + text('tt:Height', encoding.height));
}

function videoSource(channel: number, encoding: EncodingOptions): string {
  return (
    `<trt:VideoSources token="${sourceToken(channel)}">${text('tt:Framerate', encoding.fps)}` +
    `${resolution(encoding)}</trt:VideoSources>`
  );
}

function sourceConfiguration(name: string, profile: ProfileFacts): string {
  const token = sourceToken(profile.channel);
  const { width, height } = profile.encoding;
  return (
    `<${name} token="config_${token}"><tt:Name>${token}</tt:Name><tt:UseCount>2</tt:UseCount>` +
    `<tt:SourceToken>${token}</tt:SourceToken>` +
    `<tt:Bounds x="0" y="0" width="${String(width)}" height="${String(height)}"/></${name}>`
  );
}

const MULTICAST =
  '<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>' +
  '<tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>';

function encoder1(name: string, profile: ProfileFacts): string {
  const { encoding } = profile;
  const gov = String(Math.round(encoding.fps * encoding.gopSeconds));
  // Media1 knows no H.265 (ONVIF Media §5.4.2 VideoEncoding): such a profile shows as the JPEG that it is not.
  const known = encoding.codec === 'h264' ? 'H264' : 'JPEG';
  return (
    `<${name} token="encoder_${profile.token}"><tt:Name>${profile.token}</tt:Name><tt:UseCount>1</tt:UseCount>` +
    `<tt:Encoding>${known}</tt:Encoding>${resolution(encoding)}<tt:Quality>4</tt:Quality><tt:RateControl>` +
    `${text('tt:FrameRateLimit', encoding.fps)}<tt:EncodingInterval>1</tt:EncodingInterval>` +
    `${text('tt:BitrateLimit', encoding.kbps)}</tt:RateControl><tt:H264><tt:GovLength>${gov}</tt:GovLength>` +
    `<tt:H264Profile>High</tt:H264Profile></tt:H264>${MULTICAST}<tt:SessionTimeout>PT60S</tt:SessionTimeout></${name}>`
  );
}

function encoder2(name: string, profile: ProfileFacts): string {
  const { encoding } = profile;
  const gov = String(Math.round(encoding.fps * encoding.gopSeconds));
  return (
    `<${name} token="encoder_${profile.token}" GovLength="${gov}" Profile="High"><tt:Name>${profile.token}</tt:Name>` +
    `<tt:UseCount>1</tt:UseCount><tt:Encoding>${encoding.codec.toUpperCase()}</tt:Encoding>${resolution(encoding)}` +
    `<tt:RateControl ConstantBitRate="false">${text('tt:FrameRateLimit', encoding.fps)}` +
    `${text('tt:BitrateLimit', encoding.kbps)}</tt:RateControl>${MULTICAST}<tt:Quality>4</tt:Quality></${name}>`
  );
}

function profile1(name: string, profile: ProfileFacts): string {
  return (
    `<${name} token="${profile.token}" fixed="true"><tt:Name>${profile.token}</tt:Name>` +
    `${sourceConfiguration('tt:VideoSourceConfiguration', profile)}` +
    `${encoder1('tt:VideoEncoderConfiguration', profile)}</${name}>`
  );
}

function profile2(profile: ProfileFacts): string {
  return (
    `<tr2:Profiles token="${profile.token}" fixed="true"><tr2:Name>${profile.token}</tr2:Name><tr2:Configurations>` +
    `${sourceConfiguration('tr2:VideoSource', profile)}${encoder2('tr2:VideoEncoder', profile)}` +
    `</tr2:Configurations></tr2:Profiles>`
  );
}

function mediaUri(name: string, uri: string | undefined): string | undefined {
  if (uri === undefined) return undefined;
  const inside =
    `${text('tt:Uri', uri)}<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>` +
    '<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT60S</tt:Timeout>';
  return wrap(name, wrap('trt:MediaUri', inside));
}

function uri2(name: string, uri: string | undefined): string | undefined {
  return uri === undefined ? undefined : wrap(name, text('tr2:Uri', uri));
}
