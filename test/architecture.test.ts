import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import {
  grantForgeries,
  importViolations,
  moduleState,
  readSources,
  ungrantedReads,
  unknownSockets,
} from './support/architecture.js';

const sources = readSources(resolve('src'));

test('rooms never import rooms, floors never look up', () => {
  expect(importViolations(sources)).toEqual([]);
});

test('a planted violation is found', () => {
  const planted = new Map(sources)
    .set('ring/planted.ts', `import { createMotion } from '../motion/motion.js';`)
    .set('base/planted.ts', `export { topics } from '../contract/messages.js';`)
    .set('web/planted.ts', `const late = await import('../policy/authorise.js');`);
  expect(importViolations(planted)).toEqual([
    'ring/planted.ts imports motion/motion.js',
    'base/planted.ts imports contract/messages.js',
    'web/planted.ts imports policy/authorise.js',
  ]);
});

test('only the gate makes grants', () => {
  expect(grantForgeries(sources)).toEqual([]);
  const planted = new Map([['web/planted.ts', 'const free = { camera } as unknown as Grant;']]);
  expect(grantForgeries(planted)).toEqual(['web/planted.ts']);
});

test('nothing opens connections but what is known to keep footage behind the gate', () => {
  expect(unknownSockets(sources)).toEqual([]);
  const planted = new Map([
    ['clips/push.ts', `import { connect } from 'node:tls';`],
    ['watch-wall.ts', `import { WebSocketServer } from 'ws';`],
  ]);
  expect(unknownSockets(planted)).toEqual(['clips/push.ts opens node:tls', 'watch-wall.ts opens ws']);
});

test('recordings are read through grants alone', () => {
  expect(ungrantedReads(sources)).toEqual([]);
  const planted = new Map([
    ['export-all.ts', `const bytes = await recording.ring.read({ stream, seq, offset, length });`],
  ]);
  expect(ungrantedReads(planted)).toEqual(['export-all.ts']);
});

test('no module keeps mutable state', () => {
  expect(moduleState(sources)).toEqual([]);
  expect(moduleState(new Map([['ring/planted.ts', 'let open = 0;']]))).toHaveLength(1);
});
