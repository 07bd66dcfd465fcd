import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GrantKind } from '../../src/contract/grant.js';
import { policyDocument, type AccessRequest, type Door, type Party } from '../../src/contract/policy.js';
import { decide, EMERGENCY_PRE_ROLL_MS, holdsUntil } from '../../src/policy/decide.js';
import { NOTHING_SHARED, type PolicyState } from '../../src/policy/state.js';

const NOW = Date.parse('2026-06-03T15:00:00Z'); // a Wednesday, 10:00 in Chicago
const HOUR = 3_600_000;
const KINDS: GrantKind[] = ['clip', 'still', 'live', 'playback', 'timeline', 'export', 'motion', 'sighting'];
const DOORS: Door[] = ['page', 'socket', 'http', 'mqtt', 'courier', 'auto'];
const operator: Party = { kind: 'operator', operator: 'jdoe', agency: 'JPD', role: 'detective' };
const agent: Party = { kind: 'agent' };
const local = (role: 'technician' | 'owner' | 'viewer'): Party => ({ kind: 'local', role, name: role });
const PARTIES: Party[] = [operator, agent, local('technician'), local('owner'), local('viewer')];

const sharing: PolicyState = { ...NOTHING_SHARED, enrolment: 'active', clockTrusted: true };
const terms = (more: object = {}, authority: 'owner' | 'city' = 'owner') =>
  policyDocument.parse({
    version: 1,
    authority,
    timeZone: 'America/Chicago',
    cameras: [{ camera: 'gate', mode: 'live', stills: true, sightings: true, autoClips: true, ...more }],
  });
const ask = (party: Party, kind: GrantKind, door: Door, more: Partial<AccessRequest> = {}): AccessRequest => ({
  party,
  kind,
  door,
  camera: 'gate',
  range: { fromMs: NOW - HOUR, toMs: NOW - HOUR / 2 },
  reason: 'test',
  ...more,
});
const code = (...args: Parameters<typeof decide>): string => {
  const answer = decide(...args);
  return answer.allow ? 'ok' : answer.code;
};

describe('the default is no', () => {
  test('without terms nobody but the people of the owner sees anything, by any door', () => {
    for (const party of PARTIES)
      for (const kind of KINDS)
        for (const door of DOORS) {
          const own = party.kind === 'local' && party.role !== 'technician';
          if (own) continue;
          expect(code(null, sharing, ask(party, kind, door), NOW)).not.toBe('ok');
          expect(code(null, NOTHING_SHARED, ask(party, kind, door), NOW)).not.toBe('ok');
        }
  });

  test('a camera that the terms do not name is not shared', () => {
    for (const party of [operator, agent])
      for (const kind of KINDS) {
        const door = party.kind === 'agent' ? 'auto' : 'mqtt';
        expect(code(terms(), sharing, ask(party, kind, door, { camera: 'back-room' }), NOW)).toBe('POLICY_DENIED');
      }
  });

  test('not enrolled, paused and an untrusted clock refuse everything to the outside, whatever the terms', () => {
    const shut: [Partial<PolicyState>, string][] = [
      [{ enrolment: 'none' }, 'NOT_ENROLLED'],
      [{ enrolment: 'pending' }, 'NOT_ENROLLED'],
      [{ enrolment: 'ended' }, 'NOT_ENROLLED'],
      [{ pausedNow: true }, 'PAUSED_BY_OWNER'],
      [{ pauses: [{ fromMs: NOW - 1, toMs: Infinity }] }, 'PAUSED_BY_OWNER'],
      [{ clockTrusted: false }, 'POLICY_DENIED'],
    ];
    for (const [state, expected] of shut)
      for (const kind of KINDS) {
        expect(code(terms(), { ...sharing, ...state }, ask(operator, kind, 'mqtt'), NOW)).toBe(expected);
        expect(code(terms(), { ...sharing, ...state }, ask(agent, kind, 'auto'), NOW)).toBe(expected);
        // Nor what somebody at the box sends to the center, be it the owner.
        const sent = ask(local('owner'), kind, 'page', { sends: true });
        expect(code(terms(), { ...sharing, ...state }, sent, NOW)).toBe(expected);
      }
  });
});

// What an operator gets by mode. e: only in an emergency window; a: only when the owner approved.
const MODES = {
  registry: { clip: 'no', still: 'no', live: 'no', playback: 'no', timeline: 'no', motion: 'no' },
  ask: { clip: 'a', still: 'a', live: 'a', playback: 'a', timeline: 'a', motion: 'a' },
  clips: { clip: 'ok', still: 'ok', live: 'no', playback: 'ok', timeline: 'ok', motion: 'ok' },
  emergency: { clip: 'e', still: 'e', live: 'e', playback: 'e', timeline: 'e', motion: 'e' },
  live: { clip: 'ok', still: 'ok', live: 'ok', playback: 'ok', timeline: 'ok', motion: 'ok' },
} as const;

describe('modes', () => {
  for (const [mode, kinds] of Object.entries(MODES)) {
    test.each(Object.entries(kinds))(`${mode}: %s -> %s`, (kind, expected) => {
      const request = ask(operator, kind as GrantKind, 'mqtt');
      const open = { ...sharing, emergencies: [{ fromMs: NOW - HOUR, toMs: NOW + 1 }] };
      const approved = {
        ...sharing,
        approvals: [
          {
            id: 'A',
            camera: 'gate',
            kind: kind as GrantKind,
            range: request.range,
            operator: 'jdoe',
            agency: 'JPD',
            untilMs: NOW + 1,
          },
        ],
      };
      const closed = { no: 'POLICY_DENIED', e: 'POLICY_DENIED', a: 'OWNER_APPROVAL_REQUIRED', ok: 'ok' }[expected];
      expect(code(terms({ mode }), sharing, request, NOW)).toBe(closed);
      expect(code(terms({ mode }), open, request, NOW)).toBe(expected === 'e' ? 'ok' : closed);
      expect(code(terms({ mode }), approved, request, NOW)).toBe(expected === 'a' ? 'ok' : closed);
      expect(code(terms({ mode }), open, request, NOW + 1)).toBe(closed);
      expect(code(terms({ mode }), approved, request, NOW + 1)).toBe(closed);
    });
  }

  test('an approval is for this operator, camera, kind and range only', () => {
    const approval = {
      id: 'A',
      camera: 'gate',
      kind: 'clip' as const,
      range: { fromMs: NOW - HOUR, toMs: NOW - HOUR / 2 },
      operator: 'jdoe',
      agency: 'JPD',
      untilMs: NOW + HOUR,
    };
    const state = { ...sharing, approvals: [approval] };
    const document = terms({ mode: 'ask' });
    expect(code(document, state, ask(operator, 'clip', 'mqtt'), NOW)).toBe('ok');
    const others: AccessRequest[] = [
      ask({ ...operator, operator: 'other' }, 'clip', 'mqtt'),
      ask({ ...operator, agency: 'FBI' }, 'clip', 'mqtt'),
      ask(operator, 'export', 'mqtt'),
      ask(operator, 'clip', 'mqtt', { range: { fromMs: approval.range.fromMs - 1, toMs: approval.range.toMs } }),
      ask(operator, 'clip', 'mqtt', { range: { fromMs: approval.range.fromMs, toMs: approval.range.toMs + 1 } }),
    ];
    for (const request of others) expect(code(document, state, request, NOW)).toBe('OWNER_APPROVAL_REQUIRED');
  });

  test('an emergency window opens its pre-roll and no older footage', () => {
    const opened = NOW - HOUR;
    const state = { ...sharing, emergencies: [{ fromMs: opened, toMs: NOW + HOUR }] };
    const from = (fromMs: number) => ask(operator, 'clip', 'mqtt', { range: { fromMs, toMs: NOW } });
    expect(code(terms({ mode: 'emergency' }), state, from(opened - EMERGENCY_PRE_ROLL_MS), NOW)).toBe('ok');
    expect(code(terms({ mode: 'emergency' }), state, from(opened - EMERGENCY_PRE_ROLL_MS - 1), NOW)).toBe(
      'POLICY_DENIED',
    );
  });
});

describe('what a line of the terms holds back', () => {
  test('stills and sightings are off unless the terms say so', () => {
    const document = policyDocument.parse({
      version: 1,
      authority: 'owner',
      cameras: [{ camera: 'gate', mode: 'live' }],
    });
    expect(code(document, sharing, ask(operator, 'still', 'mqtt'), NOW)).toBe('POLICY_DENIED');
    expect(code(document, sharing, ask(operator, 'sighting', 'mqtt'), NOW)).toBe('POLICY_DENIED');
    expect(code(document, sharing, ask(operator, 'clip', 'mqtt'), NOW)).toBe('ok');
    expect(code(document, sharing, ask(agent, 'clip', 'auto'), NOW)).toBe('POLICY_DENIED');
  });

  test('a masked camera leaves only in copies with the masks burned in', () => {
    const document = terms({
      masks: [
        [
          [0, 0],
          [500, 0],
          [0, 500],
        ],
      ],
    });
    for (const kind of ['clip', 'live', 'still', 'playback', 'export'] as const) {
      expect(code(document, sharing, ask(operator, kind, 'mqtt'), NOW)).toBe('POLICY_DENIED');
      expect(code(document, sharing, ask(operator, kind, 'mqtt', { masksBurned: true }), NOW)).toBe('ok');
    }
    expect(code(document, sharing, ask(operator, 'timeline', 'mqtt'), NOW)).toBe('ok');
    // Nor when somebody at the box sends it to the center, be it the owner; what he takes for himself is his.
    for (const role of ['owner', 'technician'] as const) {
      const sent = ask(local(role), 'clip', 'page', { sends: true });
      expect(code(document, sharing, sent, NOW)).toBe('POLICY_DENIED');
    }
    expect(code(document, sharing, ask(local('owner'), 'clip', 'page'), NOW)).toBe('ok');
  });

  test('what is older than the maximum is not given, even where it still lies on the disk', () => {
    const document = terms({ retentionMaxDays: 1 });
    const range = { fromMs: NOW - 24 * HOUR - 1, toMs: NOW - 24 * HOUR + 1000 };
    expect(code(document, sharing, ask(operator, 'clip', 'mqtt', { range }), NOW)).toBe('POLICY_DENIED');
    expect(code(document, sharing, ask(operator, 'clip', 'mqtt', { range }), NOW - 1)).toBe('ok');
  });

  test('footage recorded in a pause stays withheld after it', () => {
    const state = { ...sharing, pauses: [{ fromMs: NOW - 3 * HOUR, toMs: NOW - 2 * HOUR }] };
    const from = (fromMs: number, toMs: number) => ask(operator, 'clip', 'mqtt', { range: { fromMs, toMs } });
    expect(code(terms(), state, from(NOW - 2 * HOUR - 1, NOW - HOUR), NOW)).toBe('PAUSED_BY_OWNER');
    expect(code(terms(), state, from(NOW - 2 * HOUR, NOW - HOUR), NOW)).toBe('ok');
    expect(code(terms(), state, ask(operator, 'live', 'mqtt'), NOW)).toBe('ok');
  });

  test('ranges that are none are refused', () => {
    for (const range of [
      { fromMs: NaN, toMs: NOW },
      { fromMs: 0, toMs: NaN },
      { fromMs: NOW, toMs: NOW },
      { fromMs: NOW, toMs: NOW - 1 },
      { fromMs: -Infinity, toMs: NOW },
      { fromMs: 0, toMs: Infinity },
    ]) {
      expect(code(terms(), sharing, ask(operator, 'clip', 'mqtt', { range }), NOW)).toBe('POLICY_DENIED');
    }
  });
});

describe('hours', () => {
  const office = { hours: [{ days: ['wed'], from: '09:00', to: '17:00' }] };
  test('a range must lie within the hours throughout; live counts now', () => {
    const at = (hour: number, length = HOUR) => ({
      fromMs: NOW + (hour - 10) * HOUR,
      toMs: NOW + (hour - 10) * HOUR + length,
    });
    const clip = (range: { fromMs: number; toMs: number }) =>
      code(terms(office), sharing, ask(operator, 'clip', 'mqtt', { range }), NOW);
    expect(clip(at(9))).toBe('ok');
    expect(clip({ ...at(9), fromMs: at(9).fromMs - 1 })).toBe('OUTSIDE_HOURS');
    expect(clip(at(16, HOUR + 1))).toBe('OUTSIDE_HOURS');
    expect(code(terms(office), sharing, ask(operator, 'live', 'mqtt'), NOW)).toBe('ok');
    expect(code(terms(office), sharing, ask(operator, 'live', 'mqtt'), NOW + 7 * HOUR)).toBe('OUTSIDE_HOURS');
    expect(holdsUntil(terms(office), sharing, ask(operator, 'live', 'mqtt'), NOW)).toBe(NOW + 7 * HOUR);
  });

  test('several lines for one camera: live by night, ask by day; the helpful refusal wins', () => {
    const document = policyDocument.parse({
      version: 1,
      authority: 'owner',
      timeZone: 'America/Chicago',
      cameras: [
        {
          camera: 'gate',
          mode: 'live',
          hours: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], from: '22:00', to: '06:00' }],
        },
        { camera: 'gate', mode: 'ask' },
      ],
    });
    expect(code(document, sharing, ask(operator, 'live', 'mqtt'), NOW)).toBe('OWNER_APPROVAL_REQUIRED');
    expect(code(document, sharing, ask(operator, 'live', 'mqtt'), NOW + 13 * HOUR)).toBe('ok');
  });

  test('marks that the agent reports as they come count by the moment', () => {
    const onward = { range: { fromMs: NOW, toMs: NOW + 24 * HOUR } };
    expect(code(terms(office), sharing, ask(agent, 'motion', 'auto', onward), NOW)).toBe('ok');
    expect(code(terms(office), sharing, ask(operator, 'motion', 'mqtt', onward), NOW)).toBe('OUTSIDE_HOURS');
    expect(code(terms(office), sharing, ask(agent, 'clip', 'auto', onward), NOW)).toBe('OUTSIDE_HOURS');
  });
});

describe('people at the box', () => {
  const state = (more: Partial<PolicyState> = {}): PolicyState => ({ ...NOTHING_SHARED, ...more });
  test('the owner always sees and exports; a viewer looks and takes nothing away', () => {
    for (const kind of KINDS) {
      expect(code(null, state({ pausedNow: true }), ask(local('owner'), kind, 'page'), NOW)).toBe('ok');
      const taking = kind === 'clip' || kind === 'export';
      expect(code(terms(), state(), ask(local('viewer'), kind, 'page'), NOW)).toBe(taking ? 'POLICY_DENIED' : 'ok');
    }
  });

  test('at a store a technician sees pictures only while the owner lets him, and never takes any', () => {
    for (const kind of KINDS) {
      const request = ask(local('technician'), kind, 'page');
      const taking = kind === 'clip' || kind === 'export';
      expect(code(terms(), sharing, request, NOW)).toBe('POLICY_DENIED');
      const visit = state({ technicianUntilMs: NOW + 1 });
      expect(code(terms(), visit, request, NOW)).toBe(taking ? 'POLICY_DENIED' : 'ok');
      expect(code(terms(), visit, request, NOW + 1)).toBe('POLICY_DENIED');
      expect(code(terms({}, 'city'), state(), request, NOW)).toBe('ok');
    }
    expect(
      holdsUntil(terms(), state({ technicianUntilMs: NOW + 5 }), ask(local('technician'), 'live', 'page'), NOW),
    ).toBe(NOW + 5);
  });

  test('nobody comes in by a door that is not his', () => {
    const own: Record<Party['kind'], Door[]> = {
      local: ['page', 'socket', 'http'],
      operator: ['mqtt', 'http', 'courier'],
      agent: ['auto', 'courier'],
    };
    for (const party of PARTIES)
      for (const door of DOORS) {
        if (own[party.kind].includes(door)) continue;
        for (const kind of KINDS)
          expect(code(terms({}, 'city'), sharing, ask(party, kind, door), NOW)).toBe('POLICY_DENIED');
      }
  });
});

const anyParty = fc.constantFrom(...PARTIES);
const anyTerms = fc.record({
  camera: fc.constantFrom('gate', 'yard'),
  mode: fc.constantFrom('registry', 'ask', 'clips', 'emergency', 'live'),
  stills: fc.boolean(),
  sightings: fc.boolean(),
  autoClips: fc.boolean(),
  hours: fc.array(
    fc.record({
      days: fc.subarray(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], { minLength: 1 }),
      from: fc.constantFrom('00:00', '08:00', '22:00'),
      to: fc.constantFrom('06:00', '08:00', '24:00'),
    }),
    { maxLength: 2 },
  ),
  masks: fc.constantFrom(
    [],
    [
      [
        [0, 0],
        [9, 0],
        [0, 9],
      ],
    ],
  ),
  retentionMaxDays: fc.constantFrom(null, 1, 30),
});
const anyState = fc.record({
  enrolment: fc.constantFrom('none' as const, 'pending' as const, 'active' as const, 'ended' as const),
  pausedNow: fc.boolean(),
  pauses: fc.constantFrom([], [{ fromMs: NOW - 2 * HOUR, toMs: NOW - HOUR }]),
  emergencies: fc.constantFrom([], [{ fromMs: NOW - HOUR, toMs: NOW + HOUR }]),
  approvals: fc.constant([]),
  clockTrusted: fc.boolean(),
  technicianUntilMs: fc.constantFrom(null, NOW + HOUR),
});
const anyRequest = fc.record({
  party: anyParty,
  kind: fc.constantFrom(...KINDS),
  door: fc.constantFrom(...DOORS),
  camera: fc.constantFrom('gate', 'yard', 'other'),
  range: fc
    .tuple(fc.integer({ min: -72, max: 1 }), fc.nat(6))
    .map(([from, length]) => ({ fromMs: NOW + from * HOUR, toMs: NOW + (from + length) * HOUR })),
  reason: fc.constant('test'),
});

test('taking anything away from the terms or the state never opens a door', () => {
  fc.assert(
    fc.property(
      fc.array(anyTerms, { maxLength: 3 }),
      anyState,
      anyRequest,
      fc.nat(2),
      (lines, state, request, drop) => {
        const read = (cameras: object[]) =>
          policyDocument.parse({ version: 1, authority: 'owner', timeZone: 'America/Chicago', cameras });
        if (decide(read(lines), state, request, NOW).allow) return true;
        const fewer = read(lines.filter((_, i) => i !== drop));
        const stricter: PolicyState[] = [
          { ...state, pausedNow: true },
          { ...state, emergencies: [] },
          { ...state, clockTrusted: false },
          { ...state, technicianUntilMs: null },
          { ...state, enrolment: 'ended' },
        ];
        return (
          !decide(fewer, state, request, NOW).allow &&
          stricter.every((one) => !decide(read(lines), one, request, NOW).allow)
        );
      },
    ),
    { numRuns: 400 },
  );
});

test('a range is allowed to the outside only if each part of it is', () => {
  fc.assert(
    fc.property(
      fc.array(anyTerms, { minLength: 1, maxLength: 2 }),
      anyState,
      anyRequest,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (lines, state, request, cut) => {
        const document = policyDocument.parse({
          version: 1,
          authority: 'owner',
          timeZone: 'America/Chicago',
          cameras: lines,
        });
        const { fromMs, toMs } = request.range;
        const middle = Math.floor(fromMs + cut * (toMs - fromMs));
        if (!decide(document, state, request, NOW).allow || middle <= fromMs || middle >= toMs) return true;
        if (request.kind === 'live' || toMs > NOW) return true;
        const parts = [
          { fromMs, toMs: middle },
          { fromMs: middle, toMs },
        ];
        return parts.every((range) => decide(document, state, { ...request, range }, NOW).allow);
      },
    ),
    { numRuns: 400 },
  );
});
