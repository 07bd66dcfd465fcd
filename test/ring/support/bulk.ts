import { createHash, randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { recordLink, GENESIS, type SegmentRecord } from '../../../src/proof/chain.js';
import { openDatabase } from '../../../src/ring/database.js';
import { identifyDisk } from '../../../src/ring/disk.js';
import { realDiskIo } from '../../../src/ring/disk-io.js';
import { encodeFragments } from '../../../src/ring/fragment-list.js';
import { Journal } from '../../../src/ring/journal.js';
import { segmentId, segmentPath } from '../../../src/ring/layout.js';

export interface Bulk {
  directory: string;
  streams: string[];
  startMs: number;
  perStream: number;
}

/**
 * Fills a ring with rows as years of recording would, without recording: 10 s segments of all streams side by side.
 * Links are real; media files only where `fileBytes` asks for them.
 */
export function fillRing(options: {
  directory: string;
  segments: number;
  streams: number;
  /** So many oldest segments of each stream get a file: allocated on the disk, its content never written. */
  withFiles?: number;
}): Bulk {
  const { directory } = options;
  mkdirSync(directory, { recursive: true });
  const diskId = identifyDisk(directory, { create: true, expect: undefined });
  const sql = openDatabase(directory, diskId);
  const streams = Array.from({ length: options.streams }, (_, i) => `cam-${i >> 1}.${i % 2 === 0 ? 'main' : 'sub'}`);
  const perStream = Math.floor(options.segments / options.streams);
  const startMs = Date.UTC(2026, 0, 1);
  const { db } = sql;
  db.pragma('synchronous = OFF');
  const init = randomBytes(900);
  const initSha = createHash('sha256').update(init).digest();
  db.prepare('insert into inits (id, sha256, bytes) values (1, ?, ?)').run(initSha, init);
  db.prepare("insert into runs (id, name, boot_id) values (1, '01HF00000000000000000000RN', 'boot')").run();
  const list = encodeFragments(
    Array.from({ length: 20 }, (_, i) => ({ bytes: 220_000, ticks: 45_000, key: i % 4 === 0 })),
  );
  const segment = db.prepare(
    `insert into segments (id, stream_id, state, ordinal, run_id, init_id, start_ms, mono_ms, clock, decode_ticks,
       duration_ticks, body_bytes, body_sha256, prev, link, journal_number)
     values (?, ?, 1, ?, 1, 1, ?, ?, 2, ?, 900000, ?, ?, ?, ?, 1)`,
  );
  const fragments = db.prepare('insert into fragments (segment_id, list) values (?, ?)');
  const bodySha = createHash('sha256').update('not looked at').digest();
  const bytes = 4_400_000;
  const files: string[] = [];
  const heads = streams.map(() => GENESIS);
  for (const [i, name] of streams.entries()) {
    db.prepare(
      'insert into streams (id, name, next_seq, head_link, segments, stored_bytes, duration_ms, longest_ms) values (?, ?, ?, zeroblob(32), ?, ?, ?, 10000)',
    ).run(
      i + 1,
      name,
      perStream + 1,
      perStream,
      perStream * Math.ceil((bytes + 900) / 4096) * 4096,
      perStream * 10_000,
    );
  }
  const add = db.transaction((from: number, to: number) => {
    for (let seq = from; seq <= to; seq++) {
      for (const [i, stream] of streams.entries()) {
        const record: SegmentRecord = {
          v: 1,
          stream,
          seq,
          run: '01HF00000000000000000000RN',
          boot: 'boot',
          startMs: startMs + seq * 10_000,
          monoMs: seq * 10_000,
          decodeTicks: (seq - 1) * 900_000,
          durationTicks: 900_000,
          clock: 'ntp',
          initSha256: initSha.toString('hex'),
          bytes,
          sha256: bodySha.toString('hex'),
          recovered: false,
          prev: heads[i]!,
        };
        const prev = Buffer.from(heads[i]!, 'hex');
        heads[i] = recordLink(record);
        const id = segmentId(i + 1, seq);
        segment.run(
          id,
          i + 1,
          seq * streams.length + i,
          record.startMs,
          record.monoMs,
          record.decodeTicks,
          bytes,
          bodySha,
          prev,
          Buffer.from(heads[i], 'hex'),
        );
        fragments.run(id, list);
        if (seq <= (options.withFiles ?? 0)) files.push(segmentPath(directory, stream, seq));
      }
    }
  });
  for (let seq = 1; seq <= perStream; seq += 1000) add(seq, Math.min(perStream, seq + 999));
  allocate(files, bytes + init.length);
  for (const [i] of streams.entries()) {
    db.prepare('update streams set head_link = ? where id = ?').run(Buffer.from(heads[i]!, 'hex'), i + 1);
  }
  db.prepare('insert into journals (number, live_records) values (1, ?)').run(perStream * streams.length);
  db.prepare('update state set next_ordinal = ?').run((perStream + 1) * streams.length + 1);
  const journal = new Journal(realDiskIo, directory, 4 << 20);
  journal.open();
  db.prepare('update state set journal_offset_bytes = ?').run(journal.position.offset);
  journal.close();
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  // What is measured next must not wait for what was written here.
  execFileSync('sync');
  return { directory, streams, startMs, perStream };
}

/** Blocks as a recording takes them, without writing gigabytes: what unlink has to give back is the same. */
export function allocate(paths: readonly string[], bytes: number): void {
  for (const directory of new Set(paths.map(dirname))) mkdirSync(directory, { recursive: true });
  const code =
    'import os,sys\nfor p in sys.stdin.read().split("\\n"):\n  if p:\n    f=os.open(p,os.O_CREAT|os.O_WRONLY,0o600); os.posix_fallocate(f,0,int(sys.argv[1])); os.close(f)';
  execFileSync('/usr/bin/python3', ['-c', code, String(bytes)], { input: paths.join('\n') });
}
