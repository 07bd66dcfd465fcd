import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { BluelightError } from '../../src/base/errors.js';
import { exampleFile } from '../../src/settings/explain.js';
import { decodeSettings } from '../../src/settings/load.js';

const problem = (text: string): BluelightError => {
  try {
    decodeSettings(text, 'box.toml');
  } catch (error) {
    return error as BluelightError;
  }
  throw new Error('was taken');
};

test('defaults hold for an empty file, with units decoded', () => {
  const settings = decodeSettings('', 'box.toml');
  expect(settings['recording.quota']).toBe(100e9);
  expect(settings['motion.pre_roll']).toBe(5_000);
});

test('a bad value is named with its key, the reason and a fix', () => {
  const error = problem('[recording]\nquota = 20\n');
  expect(error.code).toBe('CONFIG_INVALID');
  expect(error.message).toContain('recording.quota: 20 is not possible');
  expect(error.fix).toContain('quota = "100GB"');
});

test('every problem is told at once, and a misspelt key is guessed', () => {
  const error = problem('[recoding]\nquota = "1GB"\n[web]\nport = 99999\n');
  expect(error.fix).toContain('did you mean recording.quota?');
  expect(error.message).toContain('web.port');
});

test('broken TOML names line and column', () => {
  expect(problem('[web\nport = 1').message).toMatch(/line 1, column/);
});

test('the example file is the table, and is taken as it stands', () => {
  expect(readFileSync('config/bluelight.example.toml', 'utf8')).toBe(exampleFile());
  expect(decodeSettings(exampleFile(), 'example')).toEqual(decodeSettings('', 'empty'));
});
