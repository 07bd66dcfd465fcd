import { expect, test } from 'vitest';
import { Reports } from '../../src/policy/reports.js';
import { ownerParty, policyBox, termsText } from './helpers.js';

test('marks of motion leave only while the terms share the camera; one row in the audit log for many', async () => {
  const box = await policyBox({ file: termsText(1) });
  const reports = new Reports(box.gate, box.clock);
  const rows = () => box.db.tables.audit.list({ limit: 100, kind: 'access' }).length;
  for (let i = 0; i < 50; i++) expect(await reports.may('gate', 'motion')).toBe(true);
  expect(rows()).toBe(1);
  for (let i = 0; i < 50; i++) expect(await reports.may('back', 'motion')).toBe(false);
  expect(rows()).toBe(2);
  expect(await reports.may('gate', 'sighting')).toBe(false);
  await box.gate.pause(null, ownerParty, 'x');
  expect(await reports.may('gate', 'motion')).toBe(false);
  await box.gate.resume(ownerParty, 'y');
  expect(await reports.may('gate', 'motion')).toBe(true);
  await box.clock.advance(3_601_000);
  expect(await reports.may('gate', 'motion')).toBe(true);
});
