import type { MotionZones, Zone } from '../contract/zones.js';
import { CELLS, HEIGHT, WIDTH } from './grid.js';
import { isWithin } from './schedule.js';
import type { Track } from './track.js';

export const ALL: MotionZones = { zones: [], minimumSize: 0, hours: [] };

/** Share of an object that has to be in an include zone, and in exclude zones to be left out. */
const IN = 0.3;
const OUT = 0.7;
/** Schedules are looked at this often, ms. */
const RECHECK_MS = 10_000;

/** Which cells count and which tracks are told, by the zones of a camera and the time of the week. */
export class ZoneMap {
  #config = ALL;
  #timeZone = 'UTC';
  /** 1 where nothing is looked at; undefined: nowhere. */
  masked: Uint8Array | undefined;
  #included: Uint8Array | undefined;
  #excluded: Uint8Array | undefined;
  #open = true;
  #active = '';
  #checkedMs = Number.NaN;

  /** Takes effect with the next picture. */
  set(config: MotionZones, timeZone: string): void {
    this.#config = config;
    this.#timeZone = timeZone;
    this.#active = '';
    this.#checkedMs = Number.NaN;
  }

  /** `wallMs` undefined: schedules do not count. */
  at(wallMs: number | undefined): void {
    if (wallMs !== undefined && Math.abs(wallMs - this.#checkedMs) < RECHECK_MS) return;
    if (wallMs === undefined && this.#active !== '') return;
    const { zones, hours } = this.#config;
    const counts = (when: Zone['hours']): boolean => wallMs === undefined || isWithin(when, wallMs, this.#timeZone);
    this.#checkedMs = wallMs ?? Number.NaN;
    this.#open = counts(hours);
    const active = zones.filter((zone) => counts(zone.hours));
    const names = ` ${active.map((zone) => zone.name).join(' ')}`;
    if (names === this.#active) return;
    this.#active = names;
    this.masked = cellsOf(active.filter((zone) => zone.kind === 'mask'));
    this.#included = cellsOf(active.filter((zone) => zone.kind === 'include'));
    this.#excluded = cellsOf(active.filter((zone) => zone.kind === 'exclude'));
    // Include zones that rest at this hour are no wish to hear of everything.
    if (this.#included === undefined && zones.some((zone) => zone.kind === 'include')) {
      this.#included = new Uint8Array(CELLS);
    }
  }

  /** Marks since when each track is one to be told. Once told, always told. */
  judge(tracks: readonly Track[]): void {
    const { minimumSize } = this.#config;
    for (const track of tracks) {
      if (track.toldFrom !== undefined || !track.seen) continue;
      if (!this.#open || (minimumSize > 0 && track.peakArea * 1000 < minimumSize * CELLS)) continue;
      if (this.#included !== undefined && share(track, this.#included) < IN && !stands(track, this.#included)) continue;
      if (this.#excluded !== undefined && share(track, this.#excluded) > OUT) continue;
      track.toldFrom = this.#included === undefined && this.#excluded === undefined ? track.first : track.last;
    }
  }
}

function share(track: Track, cells: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < track.count; i++) count += cells[track.cells[i]!]!;
  return track.count === 0 ? 0 : count / track.count;
}

/** Whether its foot is in it: where a person or a vehicle is on the ground. */
function stands(track: Track, cells: Uint8Array): boolean {
  const y = Math.min(HEIGHT - 1, Math.round(track.y1));
  return cells[y * WIDTH + Math.min(WIDTH - 1, Math.round((track.x0 + track.x1) / 2))] === 1;
}

/** 1 for every cell whose middle is in one of the polygons (even-odd). */
function cellsOf(zones: readonly Zone[]): Uint8Array | undefined {
  if (zones.length === 0) return undefined;
  const cells = new Uint8Array(CELLS);
  for (let c = 0; c < CELLS; c++) {
    const x = (((c % WIDTH) + 0.5) * 1000) / WIDTH;
    const y = ((((c / WIDTH) | 0) + 0.5) * 1000) / HEIGHT;
    if (zones.some((zone) => isInside(zone.polygon, x, y))) cells[c] = 1;
  }
  return cells;
}

function isInside(polygon: Zone['polygon'], x: number, y: number): boolean {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [ax, ay] = polygon[i]!;
    const [bx, by] = polygon[j]!;
    if (ay > y !== by > y && x < ax + ((y - ay) * (bx - ax)) / (by - ay)) inside = !inside;
  }
  return inside;
}
