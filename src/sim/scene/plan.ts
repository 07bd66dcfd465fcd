import { durationOf, poseAt, routeOf, SIZES, type ColourName, type SceneObject } from './objects.js';
import { Random } from './random.js';
import type { Pavement, Side } from './route.js';
import { objectTruth } from './truth.js';
import type { GroundPoint, Place } from './view.js';

export interface PlanOptions {
  seed: number;
  loopSeconds: number;
  /** Share of the time in which something moves, 0..1, in events of about 20 s with quiet spells between them. */
  activity: number;
  /** Everybody moves so many times as fast as usual (default 1). */
  speed?: number;
  place?: Place;
}

const EVENT_S = 20;
/** Besides the one whose turn it is. */
const MAX_COMPANY = 3;
/** Kept quiet at both ends of the loop, so that nothing jumps where it starts again. */
const EDGE_S = 0.5;
const COLOURS: ColourName[] = ['white', 'black', 'grey', 'red', 'blue', 'green', 'yellow'];
const SIDES: Side[] = ['north', 'south', 'east', 'west'];
const PAVEMENTS: Record<Pavement, [Side, Side]> = {
  near: ['west', 'east'],
  far: ['west', 'east'],
  left: ['north', 'south'],
  right: ['north', 'south'],
};

/** Who comes when: the same options always give the same traffic. */
export function planScene(options: PlanOptions): SceneObject[] {
  const random = new Random(options.seed);
  if (options.place === 'shop') return planVisitors(options, random);
  const objects: SceneObject[] = [];
  const speed = options.speed ?? 1;
  for (const spell of planSpells(options, random)) fillSpell(objects, spell, { random, speed });
  return objects;
}

/** Where the busy spells lie in the loop. */
export function planSpells(options: PlanOptions, random: Random): { start: number; end: number }[] {
  const { loopSeconds, activity } = options;
  if (activity <= 0) return [];
  const room = loopSeconds - 2 * EDGE_S;
  const busy = Math.min(room, loopSeconds * activity);
  const count = Math.max(1, Math.round(busy / EVENT_S));
  const length = busy / count;
  const gap = (room - busy) / count;
  return Array.from({ length: count }, (_, i) => {
    const start = EDGE_S + i * (length + gap) + gap * random.between(0.2, 0.8);
    return { start, end: start + length };
  });
}

interface Means {
  random: Random;
  speed: number;
}

function fillSpell(objects: SceneObject[], spell: { start: number; end: number }, by: Means): void {
  const { random } = by;
  let covered = spell.start;
  while (spell.end - covered > 1.5) {
    const next = bestFit(objects, covered, spell.end, by);
    if (next === undefined) break;
    objects.push(next.object);
    covered = Math.max(covered + 0.5, next.outS);
    // Often others are about as well.
    for (let more = 0; more < MAX_COMPANY && random.next() < 0.65; more++) {
      const company = bestFit(objects, random.between(spell.start, covered - 1), spell.end, by);
      if (company !== undefined) objects.push(company.object);
    }
  }
}

/** Of some random candidates, the one that stays longest within the spell without driving into anybody. */
function bestFit(
  others: readonly SceneObject[],
  from: number,
  until: number,
  { random, speed }: Means,
): { object: SceneObject; outS: number } | undefined {
  let best: { object: SceneObject; outS: number } | undefined;
  for (let tries = 0; tries < 10; tries++) {
    const draft = candidate(`o${String(others.length + 1)}`, random);
    draft.speed *= speed;
    const seen = objectTruth(draft);
    if (seen === undefined) continue;
    const object = { ...draft, startS: Math.round((from - seen.inS) * 1000) / 1000 };
    const outS = from + seen.outS - seen.inS;
    if (outS > until + 0.3 || (best !== undefined && outS <= best.outS)) continue;
    if (others.some((other) => collide(object, other))) continue;
    best = { object, outS };
    // Long walks would always win; a fair share of drives keeps the scene lively.
    if (random.next() < 0.35) break;
  }
  return best;
}

function candidate(id: string, random: Random): SceneObject {
  const colour = random.pick(COLOURS);
  if (random.next() < 0.3) {
    const pavement = random.pick(Object.keys(PAVEMENTS) as Pavement[]);
    const ends = PAVEMENTS[pavement];
    const [from, to] = random.next() < 0.5 ? ends : [ends[1], ends[0]];
    return { id, kind: 'person', pavement, from, to, colour, speed: random.between(1.15, 1.7), startS: 0 };
  }
  const from = random.pick(SIDES);
  const to = random.pick(SIDES.filter((side) => side !== from));
  const kind = random.pick(['car', 'car', 'car', 'van', 'truck'] as const);
  return { id, kind, from, to, colour, speed: random.between(6, 11), startS: 0 };
}

/** Whether two objects come closer than their sizes allow. */
function collide(a: SceneObject, b: SceneObject): boolean {
  const routeA = routeOf(a);
  const routeB = routeOf(b);
  const clearance = (SIZES[a.kind].length + SIZES[b.kind].length) / 2 + 0.3;
  const end = a.startS + durationOf(a, routeA);
  for (let t = a.startS; t < end; t += 0.2) {
    const p = poseAt(a, routeA, t);
    const q = p === undefined ? undefined : poseAt(b, routeB, t);
    if (p !== undefined && q !== undefined && Math.hypot(p.x - q.x, p.z - q.z) < clearance) return true;
  }
  return false;
}

/** Shelves at the back and the till in front: where people stop. */
const STANDS: GroundPoint[] = [
  { x: -3.5, z: 10.5 },
  { x: 0.5, z: 11 },
  { x: 3.8, z: 10 },
  { x: 1.8, z: 7 },
  { x: -2, z: 7.5 },
];
const DOORS: GroundPoint[] = [
  { x: -6.5, z: 6 },
  { x: 7, z: 7 },
];

/** People come in by one of two doors, stand before shelves for a while, and leave. */
function planVisitors(options: PlanOptions, random: Random): SceneObject[] {
  return planSpells(options, random).map(({ start, end }, i): SceneObject => {
    const speed = random.between(0.9, 1.5) * (options.speed ?? 1);
    const first = Math.floor(random.next() * STANDS.length);
    const visits = random.next() < 0.5 ? [first] : [first, (first + 2) % STANDS.length];
    const points = [random.pick(DOORS), ...visits.map((at) => STANDS[at]!), random.pick(DOORS)];
    const legs = points.slice(1).map((point, leg) => Math.hypot(point.x - points[leg]!.x, point.z - points[leg]!.z));
    const length = legs.reduce((sum, leg) => sum + leg, 0);
    const standing = Math.max(1, end - start - length / speed) / visits.length;
    const stops = visits.map((_, n) => ({
      atM: legs.slice(0, n + 1).reduce((sum, leg) => sum + leg, 0),
      seconds: standing,
    }));
    const colour = random.pick(COLOURS);
    const id = `v${String(i + 1)}`;
    return { id, kind: 'visitor', from: 'west', to: 'east', colour, speed, startS: start, points, stops };
  });
}
