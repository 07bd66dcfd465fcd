import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BluelightError, errorMessage } from '../base/errors.js';
import type { GapReason } from '../media/stream.js';
import { wrongHead } from './check.js';
import { ClockWatch } from './clock-watch.js';
import { Core } from './core.js';
import { applyCorrections } from './corrections.js';
import { openDatabase, quarantine, readState } from './database.js';
import { Ballast, identifyDisk, mountMark } from './disk.js';
import { diskTrouble } from './disk-errors.js';
import { realDiskIo } from './disk-io.js';
import { obeyErase } from './erase.js';
import { Evictor } from './evictor.js';
import { Journal } from './journal.js';
import { INDEX_FILE } from './layout.js';
import { Maintenance } from './maintenance.js';
import type { Protections } from './protections.js';
import { Reader } from './reader.js';
import { bootstrap } from './rebuild.js';
import { replayTail, settle } from './recovery.js';
import { Space } from './space.js';
import type { RingOptions } from './types.js';

/** Everything that there is of the ring while its disk is open. */
export interface Opened {
  core: Core;
  reader: Reader;
  space: Space;
  maintenance: Maintenance;
  clockWatch: ClockWatch;
  /** Of the mount: another one in its place is another disk. */
  mark: string | undefined;
}

/**
 * Opens the disk and settles what the last stop left open.
 * @param expect the identity that the disk must have; any when undefined
 * @param reason of the gap behind what is recovered
 * @throws BluelightError DISK_MISSING | DISK_WRONG | DISK_FOREIGN | INDEX_CORRUPT, or what SQLite and the system say
 */
export function openDisk(
  options: RingOptions,
  protections: Protections,
  { expect, reason }: { expect: string | undefined; reason: GapReason },
): Opened {
  const { directory } = options;
  const io = options.io ?? realDiskIo;
  const diskId = identifyDisk(directory, { create: options.create === true, expect });
  obeyErase(directory);
  const ballast = new Ballast(io, directory, options.ballastBytes ?? 32 << 20);
  const journal = new Journal(io, directory, options.journalFileBytes ?? 4 << 20);
  let core: Core | undefined;
  try {
    journal.open();
    core = openIndex(options, diskId, journal);
    // What is settled now begins and ends where a corrected clock has put it.
    applyCorrections(core);
    const report = settle(core, reason);
    if (report.recovered.length + report.dropped.length + report.garbage > 0) {
      options.log.info(report, 'settled what the last stop left open');
    }
  } catch (error) {
    if (diskTrouble(error) === 'full') ballast.release();
    journal.close();
    core?.tables.sql.db.close();
    throw error;
  }
  const parts = { core, protections, options };
  const evictor = new Evictor(core, protections, options.signer);
  const maintenance = new Maintenance(parts);
  protections.refresh(core.tables);
  return {
    core,
    reader: new Reader(core),
    space: new Space({ ...parts, ballast, evictor }),
    maintenance,
    clockWatch: new ClockWatch(maintenance.savedAnchor()),
    mark: mountMark(directory),
  };
}

function openIndex(options: RingOptions, diskId: string, journal: Journal): Core {
  const { directory } = options;
  const fresh = !existsSync(join(directory, INDEX_FILE));
  const core = new Core(options, diskId, openDatabase(directory, diskId), journal);
  try {
    if (fresh) bootstrap(core);
    else replayTail(core);
    const wrong = wrongHead(core.tables, readState(core.tables.sql).rebuild_number !== null);
    if (wrong === undefined) return core;
    throw new BluelightError('INDEX_CORRUPT', `the head of ${wrong} is not its newest segment`);
  } catch (error) {
    core.tables.sql.db.close();
    throw error;
  }
}

/** Puts the index aside, never deletes it; the next opening builds it anew. @throws what the disk says */
export function putIndexAside({ directory, log }: RingOptions, why: unknown): void {
  const kept = quarantine(directory, existsSync);
  log.error({ kept, error: errorMessage(why) }, 'the index is damaged; it is rebuilt from the recordings');
}

/** @throws BluelightError DISK_MISSING when this is not the mount that was opened */
export function checkMount({ directory }: RingOptions, { mark }: Opened): void {
  if (mountMark(directory) === mark) return;
  throw new BluelightError('DISK_MISSING', 'the recording disk went away or another one was mounted in its place', {
    fix: 'mount the recording disk again',
    retryable: true,
  });
}
