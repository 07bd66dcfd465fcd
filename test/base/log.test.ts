import { expect, test } from 'vitest';
import { createLog, Redactor } from '../../src/base/log.js';

test('a known secret never reaches the log in any of its forms', () => {
  const secret = 'S3cret/P@ss "w"';
  const redactor = new Redactor();
  redactor.add(secret);
  const lines: string[] = [];
  const log = createLog({ redactor, write: (line) => void lines.push(line) });
  const url = `rtsp://admin:${encodeURIComponent(secret)}@10.0.0.1/`;
  log.error({ url, header: Buffer.from(secret).toString('base64'), plain: secret }, `refused: ${secret}`);
  const text = lines.join('');
  expect(text).toContain('rtsp://admin:[redacted]@10.0.0.1/');
  for (const form of [secret, encodeURIComponent(secret), 'S3cret', Buffer.from(secret).toString('base64')]) {
    expect(text).not.toContain(form);
  }
});
