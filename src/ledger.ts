import type { Clock } from './base/clock.js';
import { partyColumns } from './policy/audit-note.js';
import type { Gate } from './policy/gate.js';
import { RefusalLog } from './policy/refusal-log.js';
import { SETTINGS, type SettingKey, type Settings } from './settings/table.js';
import type { Store } from './store/client.js';
import { VERSION } from './version.js';
import type { DoorEvent } from './web/ports.js';

/** The settings with which the box ran last. */
const SETTINGS_SEEN = 'settings.seen';
/** Whoever knocks on the LAN must not be able to fill the disk: of one kind a minute so many rows, then one that counts. */
const DOOR_ROWS = 5;
const BOX = { party: 'agent', door: 'auto', outcome: 'done' } as const;

/** What the box writes into the audit log of itself: starts, stops, changed settings, and what happened at its door. */
export class Ledger {
  readonly #gate: Gate;
  readonly #store: Store;
  readonly #refused: RefusalLog;

  constructor({ gate, store, clock }: { gate: Gate; store: Store; clock: Clock }) {
    this.#gate = gate;
    this.#store = store;
    this.#refused = new RefusalLog(clock, (note) => gate.note(note), DOOR_ROWS);
  }

  /** Also what changed while it was off. */
  async started(settings: Settings): Promise<void> {
    await this.#settings(settings);
    const rows = await this.#store.audit.list({ kind: 'box', limit: 20 });
    const last = rows.find(({ action }) => action === 'start' || action === 'stop');
    const after = last?.action === 'start' ? '; the time before ended without warning' : '';
    await this.#gate.note({ ...BOX, kind: 'box', action: 'start', reason: `bluelight ${VERSION} started${after}` });
  }

  async stopped(): Promise<void> {
    await this.#refused.close();
    await this.#gate.settle();
    await this.#gate.note({ ...BOX, kind: 'box', action: 'stop', reason: 'stopped in good order' });
  }

  async atDoor({ action, outcome, who, door, remote, code, reason }: DoorEvent): Promise<void> {
    const person = who === null ? { party: `somebody at ${remote}` } : partyColumns(who);
    const note = { kind: 'login', outcome, ...person, door, action, code, reason };
    await (outcome === 'refused' ? this.#refused.add(note) : this.#gate.note(note));
  }

  async #settings(settings: Settings): Promise<void> {
    const before = (await this.#store.kv.get(SETTINGS_SEEN)) as Record<string, string> | null;
    const now = Object.fromEntries(openSettings(settings));
    if (before !== null) {
      const changed = Object.keys(now).filter((key) => before[key] !== now[key]);
      if (changed.length === 0) return;
      const words = changed.map((key) => `${key} from ${before[key] ?? 'nothing'} to ${now[key]}`);
      await this.#gate.note({ ...BOX, kind: 'config', action: 'settings', reason: words.join('; ') });
    }
    await this.#store.kv.put({ key: SETTINGS_SEEN, value: now });
  }
}

function* openSettings(settings: Settings): Generator<[string, string]> {
  for (const key of Object.keys(SETTINGS) as SettingKey[]) {
    if (SETTINGS[key].secret !== true) yield [key, JSON.stringify(settings[key])];
  }
}
