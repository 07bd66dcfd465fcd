import { expect, test } from 'vitest';
import { z } from 'zod';
import { requestsOf, ungatedRoutes, unknownTopics, waysOut } from '../scripts/lib/doors.js';
import { COMMANDS } from '../src/contract/commands.js';
import { EVENT_ACCESS, eventData, topics } from '../src/contract/messages.js';
import { decide } from '../src/policy/decide.js';
import { NOTHING_SHARED } from '../src/policy/state.js';
import { plain } from '../src/web/route.js';
import { ROUTES } from '../src/web/routes/table.js';

const NOW = Date.parse('2026-06-03T15:00:00Z');

test('every route, command and event is in the table that the campaign asks the gate about', () => {
  const names = new Set(waysOut().map((way) => way.name));
  const all = [
    ...ROUTES.map((route) => `${route.method} ${route.path}`),
    ...Object.keys(COMMANDS),
    ...Object.keys(eventData),
  ];
  expect(all.filter((name) => !names.has(name))).toEqual([]);
  expect(Object.keys(EVENT_ACCESS).sort()).toEqual(Object.keys(eventData).sort());
});

test('no way out that shows what a camera sees is open after unpacking, but to the owner and whom he gave a login', () => {
  const range = { fromMs: NOW - 60_000, toMs: NOW - 30_000 };
  let asked = 0;
  for (const way of waysOut())
    for (const request of requestsOf(way, 'gate', range)) {
      asked++;
      const { party } = request;
      if (party.kind === 'local' && party.role !== 'technician') continue;
      expect(decide(null, NOTHING_SHARED, request, NOW).allow, `${way.door} ${way.name}`).toBe(false);
    }
  expect(asked).toBeGreaterThan(50);
});

test('a new route that answers with pictures and asks nobody is found', () => {
  expect(ungatedRoutes()).toEqual([]);
  const planted = plain({
    method: 'GET',
    path: '/cameras/{id}/wall.mp4',
    summary: 'planted',
    auth: 'session',
    query: z.object({}),
    response: { status: 200, type: 'video/mp4' },
    handler: () => new Response(new Uint8Array(8)),
  });
  expect(ungatedRoutes([...ROUTES, planted])).toEqual(['GET /cameras/{id}/wall.mp4']);
});

test('a new topic is found', () => {
  expect(unknownTopics()).toEqual([]);
  const planted = { ...topics('site', 'box'), picture: 'bluelight/v1/site/box/picture' };
  expect(unknownTopics(planted)).toEqual(['picture']);
});
