import { BluelightError } from '../base/errors.js';
import { getProfiles, SCHEMA, setVideoEncoder } from './onvif-media.js';
import { escapeXml, type OnvifSession } from './onvif-session.js';
import { child, descendants, textAt, type XmlNode } from './xml.js';

const DEVICE = 'http://www.onvif.org/ver10/device/wsdl';
/** Sets the device's clock to a time in UTC, set by hand (ONVIF Core, SetSystemDateAndTime). */
export async function setClock(session: OnvifSession, ms: number): Promise<void> {
  const when = new Date(ms);
  const time = `<Time xmlns="${SCHEMA}"><Hour>${when.getUTCHours()}</Hour><Minute>${when.getUTCMinutes()}</Minute><Second>${when.getUTCSeconds()}</Second></Time>`;
  const date = `<Date xmlns="${SCHEMA}"><Year>${when.getUTCFullYear()}</Year><Month>${when.getUTCMonth() + 1}</Month><Day>${when.getUTCDate()}</Day></Date>`;
  await session.ask({
    step: 'set clock',
    place: session.service('device')!,
    action: `${DEVICE}/SetSystemDateAndTime`,
    body:
      `<SetSystemDateAndTime xmlns="${DEVICE}"><DateTimeType>Manual</DateTimeType>` +
      `<DaylightSavings>false</DaylightSavings><UTCDateTime>${time}${date}</UTCDateTime></SetSystemDateAndTime>`,
  });
}

/** Pictures from key frame to key frame. */
export interface GopChange {
  before: number;
  after: number;
}

/** Brings the GOP of a profile's encoder to so many seconds. Null: it is already, or the device does not say. */
export async function setSubGop(session: OnvifSession, profile: string, seconds: number): Promise<GopChange | null> {
  const encoder = await encoderOf(session, profile);
  const after = Math.max(1, Math.round(encoder.fps * seconds));
  if (encoder.gov === 0 || encoder.fps === 0 || encoder.gov === after) return null;
  await writeGop(session, encoder, after);
  return { before: encoder.gov, after };
}

/** Gives a profile's encoder the GOP back that it had. */
export async function restoreGop(session: OnvifSession, profile: string, gov: number): Promise<void> {
  await writeGop(session, await encoderOf(session, profile), gov);
}

interface Encoder {
  node: XmlNode;
  fps: number;
  gov: number;
}

async function encoderOf(session: OnvifSession, profile: string): Promise<Encoder> {
  const found = descendants(await getProfiles(session), 'Profiles').find(
    (one) => one.attributes.get('token') === profile,
  );
  const parts = child(found, 'Configurations') ?? found;
  const node = child(parts, 'VideoEncoderConfiguration') ?? child(parts, 'VideoEncoder');
  if (node === undefined) throw new BluelightError('CAMERA_INVALID', 'the camera does not show how it encodes');
  const gov = node.attributes.get('GovLength') ?? textAt(node, 'H264', 'GovLength');
  return { node, gov: Number(gov) || 0, fps: Number(textAt(node, 'RateControl', 'FrameRateLimit')) || 0 };
}

/** Sends the camera its own configuration back with nothing but the GOP changed. */
async function writeGop(session: OnvifSession, { node }: Encoder, gov: number): Promise<void> {
  await setVideoEncoder(session, rewrite(node, gov, session.media2));
}

function rewrite(node: XmlNode, gov: number, asAttribute: boolean): string {
  const attributes = new Map(node.attributes);
  if (asAttribute) attributes.set('GovLength', String(gov));
  const inside = node.children.map((one) => write(one, gov)).join('');
  return `<Configuration${attributesText(attributes)}>${inside}</Configuration>`;
}

function write(node: XmlNode, gov: number): string {
  const text = node.name === 'GovLength' ? String(gov) : node.children.length > 0 ? '' : escapeXml(node.text);
  const inside = node.children.map((one) => write(one, gov)).join('');
  return `<${node.name} xmlns="${SCHEMA}"${attributesText(node.attributes)}>${text}${inside}</${node.name}>`;
}

function attributesText(attributes: ReadonlyMap<string, string>): string {
  return [...attributes]
    .filter(([name]) => /^[A-Za-z_][\w.-]*$/.test(name) && name !== 'xmlns')
    .map(([name, value]) => ` ${name}="${escapeXml(value).replaceAll('"', '&quot;')}"`)
    .join('');
}
