import { expect, test } from 'vitest';
import { readNotices } from '../../src/cameras/event-notices.js';
import { parseXml } from '../../src/cameras/xml.js';

interface Message {
  topic: string;
  items?: string;
  source?: string;
  attributes?: string;
}

function read({ topic, items = '', source = '', attributes = '' }: Message): ReturnType<typeof readNotices>[number] {
  const data = items === '' ? '' : `<tt:Data>${items}</tt:Data>`;
  const xml = `<Body><R><wsnt:NotificationMessage><wsnt:Topic>${topic}</wsnt:Topic><wsnt:Message><tt:Message ${attributes}>${source}${data}</tt:Message></wsnt:Message></wsnt:NotificationMessage></R></Body>`;
  return readNotices(parseXml(xml))[0]!;
}

const item = (name: string, value: string): string => `<tt:SimpleItem Name="${name}" Value="${value}"/>`;

test.each<[string, string, string, string, boolean | null]>([
  ['tns1:RuleEngine/CellMotionDetector/Motion', 'IsMotion', 'true', 'motion', true],
  ['tns1:VideoSource/MotionAlarm', 'State', '1', 'motion', true],
  ['\n  tns1:VideoSource/tnsaxis:MotionAlarm//.  \n', 'State', 'TRUE', 'motion', true],
  ['tns1:RuleEngine/MotionRegionDetector/Motion', 'State', '0', 'motion', false],
  ['tns1:RuleEngine/FieldDetector/ObjectsInside', 'IsInside', 'false', 'motion', false],
  ['tns1:RuleEngine/TamperDetector/Tamper', 'IsTamper', 'true', 'tamper', true],
  ['tns1:VideoSource/GlobalSceneChange/ImagingService', 'State', 'true', 'tamper', true],
  ['tns1:VideoSource/ImageTooDark/AnalyticsService', 'State', 'true', 'health', true],
  ['tns1:Device/HardwareFailure/StorageFailure', 'Failed', 'true', 'health', true],
  ['tns1:Device/Trigger/DigitalInput', 'LogicalState', 'true', 'input', true],
  ['tns1:Device/Trigger/Relay', 'LogicalState', 'inactive', 'relay', false],
  ['tns1:VideoSource/MotionAlarm', 'State', 'maybe', 'motion', null],
  ['tns1:VideoSource/MotionAlarm', 'Other', 'true', 'motion', null],
  ['tns1:RuleEngine/MyRuleDetector/FaceDetect', 'State', 'true', 'other', null],
  ['', 'State', 'true', 'other', null],
])('%j with %s=%s is %s', (topic, name, value, kind, active) => {
  const other = item('Something', 'else');
  expect(read({ topic, items: other + item(name, value) })).toMatchObject({ kind, active });
});

test('whom it is about and whether it is only the state at the start', () => {
  const source = `<tt:Source>${item('VideoSourceConfigurationToken', '000')}${item('Rule', 'x')}</tt:Source>`;
  const message = { topic: 'tns1:VideoSource/MotionAlarm', items: item('State', 'true'), source };
  expect(read({ ...message, attributes: 'PropertyOperation="Initialized" UtcTime="0000-00-00T00:00:00Z"' })).toEqual({
    ...{ kind: 'motion', topic: 'VideoSource/MotionAlarm', source: '000', active: true, initial: true },
  });
  expect(read({ ...message, attributes: 'PropertyOperation="Changed"' }).initial).toBe(false);
});

test('what is no message is none', () => {
  expect(readNotices(parseXml('<Body><NotificationMessage/></Body>'))).toEqual([
    { kind: 'other', topic: '', source: '', active: null, initial: false },
  ]);
  expect(readNotices(parseXml('<html>busy</html>'))).toEqual([]);
});
