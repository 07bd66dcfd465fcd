import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openApi } from '../../src/web/openapi.js';
import { ROUTES } from '../../src/web/routes/table.js';

const FILE = fileURLToPath(new URL('../../docs/openapi.json', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

// UPDATE_DOCS=1 writes it anew.
test('docs/openapi.json is what the routes say', () => {
  const made = `${JSON.stringify(openApi(ROUTES, version), null, 2)}\n`;
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(FILE, made);
  expect(readFileSync(FILE, 'utf8')).toBe(made);
});

test('every reference leads somewhere, every operation has its own id', () => {
  const document = openApi(ROUTES, version) as {
    paths: Record<string, Record<string, { operationId: string }>>;
    components: { schemas: Record<string, unknown> };
  };
  const text = JSON.stringify(document);
  for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    expect(Object.keys(document.components.schemas)).toContain(name);
  }
  expect(text).not.toContain('"#/$defs');
  const ids = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map((operation) => operation.operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBe(ROUTES.length);
});
