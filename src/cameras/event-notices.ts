import { child, descendants, textAt, type XmlNode } from './xml.js';

export type NoticeKind = 'motion' | 'tamper' | 'input' | 'relay' | 'health' | 'other';

/** One message of a camera's event service, in our words. */
export interface Notice {
  kind: NoticeKind;
  /** Without prefixes: `VideoSource/MotionAlarm`. */
  topic: string;
  /** Token of what it is about (video source, its configuration, input, relay); '' if it does not say. */
  source: string;
  /** Null: no state, or none that can be read. */
  active: boolean | null;
  /** The state at the time of the subscription, no change. */
  initial: boolean;
}

/** By topic: what it means, and the data items that carry its state (handed down by ONVIF and by makers). */
const REGISTRY: readonly [pattern: RegExp, kind: NoticeKind, items: readonly string[]][] = [
  [/^RuleEngine\/CellMotionDetector\/Motion$/, 'motion', ['IsMotion', 'State']],
  [/^VideoSource\/MotionAlarm$/, 'motion', ['State', 'IsMotion']],
  [/^RuleEngine\/MotionRegionDetector\/Motion$/, 'motion', ['State', 'IsMotion']],
  [/^RuleEngine\/FieldDetector\/ObjectsInside$/, 'motion', ['IsInside', 'State']],
  [/^RuleEngine\/TamperDetector\/Tamper$/, 'tamper', ['IsTamper', 'State']],
  [/^VideoSource\/GlobalSceneChange\//, 'tamper', ['State']],
  [/^VideoSource\/(?:ImageTooBlurry|ImageTooDark|ImageTooBright|SignalLoss)(?:\/|$)/, 'health', ['State']],
  [/^Device\/HardwareFailure\//, 'health', ['Failed', 'State']],
  [/^Device\/Trigger\/DigitalInput$/, 'input', ['LogicalState', 'State']],
  [/^Device\/Trigger\/Relay$/, 'relay', ['LogicalState', 'State']],
];

const MAX_NOTICES = 500;

/** The messages of a PullMessages reply. Dates are not read: cameras get them wrong, and the box knows when they came. */
export function readNotices(reply: XmlNode): Notice[] {
  return descendants(reply, 'NotificationMessage').slice(0, MAX_NOTICES).map(readNotice);
}

function readNotice(message: XmlNode): Notice {
  const topic = plainTopic(textAt(message, 'Topic'));
  const [, kind = 'other', items = []] = REGISTRY.find(([pattern]) => pattern.test(topic)) ?? [];
  const content = child(message, 'Message', 'Message');
  return {
    kind,
    topic,
    source: simpleItems(child(content, 'Source'))[0]?.value.slice(0, 100) ?? '',
    active: stateOf(simpleItems(child(content, 'Data')), items),
    initial: content?.attributes.get('PropertyOperation') === 'Initialized',
  };
}

/** `tns1:VideoSource/tnsaxis:MotionAlarm//.` as `VideoSource/MotionAlarm`. */
function plainTopic(text: string): string {
  const parts = text.trim().replace(/[/.]+$/, '').split('/'); // prettier-ignore
  return parts
    .map((part) => part.slice(part.indexOf(':') + 1).trim())
    .join('/')
    .slice(0, 200);
}

function simpleItems(node: XmlNode | undefined): { name: string; value: string }[] {
  if (node === undefined) return [];
  return descendants(node, 'SimpleItem').map((one) => ({
    name: one.attributes.get('Name') ?? '',
    value: one.attributes.get('Value') ?? '',
  }));
}

function stateOf(items: readonly { name: string; value: string }[], names: readonly string[]): boolean | null {
  const found = names.map((name) => items.find((item) => item.name === name)).find((item) => item !== undefined);
  const value = found?.value.trim().toLowerCase();
  if (value === undefined) return null;
  if (['true', '1', 'active'].includes(value)) return true;
  return ['false', '0', 'inactive'].includes(value) ? false : null;
}
