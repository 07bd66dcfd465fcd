import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { systemClock } from '../../src/base/clock.js';
import { BluelightError } from '../../src/base/errors.js';
import { ulid } from '../../src/base/ids.js';
import { silentLog } from '../../src/base/log.js';
import { createClips, type Clips, type ClipsOptions, type FootagePort, type GatePort } from '../../src/clips/index.js';
import type { PlannedFile } from '../../src/clips/ports.js';
import { CHECKPOINT_TYPE, type Anchor, type SegmentRecord } from '../../src/contract/evidence.js';
import type { Grant } from '../../src/contract/grant.js';
import type { AccessRequest, DenialCode } from '../../src/contract/policy.js';
import type { ClaimFile } from '../../src/contract/messages.js';
import { canonicalBytes } from '../../src/proof/canonical.js';
import { GENESIS, recordLink } from '../../src/proof/chain.js';
import { signEnvelope } from '../../src/proof/dsse.js';
import type { Signer } from '../../src/proof/keys.js';
import type { TableCalls } from '../../src/store/calls.js';
import { link, memoryLedger } from '../uplinks/links.js';
import { createUplinks, type Uplinks } from '../../src/uplinks/index.js';
import { kept } from '../support/kept.js';
import { systemProcesses } from '../../src/base/processes.js';
import { Stills } from '../../src/clips/stills.js';

export const clock = systemClock();

/** A real fragmented MP4 (ffmpeg, 1 s per fragment), taken apart into init and one body per second. */
export function footageBytes(seconds = 8): { init: Buffer; bodies: Buffer[] } {
  const file = kept(`bluelight-clip-source-${seconds}.mp4`);
  if (!existsSync(file)) {
    execFileSync('ffmpeg', [
      '-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=15', '-t', String(seconds),
      '-c:v', 'libx264', '-preset', 'ultrafast', '-b:v', '4M', '-g', '15', '-keyint_min', '15', '-sc_threshold', '0',
      '-pix_fmt', 'yuv420p', '-movflags', 'frag_keyframe+empty_moov+default_base_moof', file,
    ]); // prettier-ignore
  }
  const bytes = readFileSync(file);
  const bodies: Buffer[] = [];
  let init = Buffer.alloc(0);
  let moof = Buffer.alloc(0);
  for (let at = 0; at < bytes.length;) {
    const size = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    const box = bytes.subarray(at, at + size);
    if (type === 'ftyp' || type === 'moov') init = Buffer.concat([init, box]);
    else if (type === 'moof') moof = box;
    else if (type === 'mdat') bodies.push(Buffer.concat([moof, box]));
    at += size;
  }
  return { init, bodies };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export interface FakeRing extends FootagePort {
  /** Start of the first second, ms since 1970. */
  startMs: number;
  /** Seconds after this are not closed yet. */
  openFromMs: number;
  /** A new run begins here. */
  formatChangesAtMs: number;
  /** By how much the clock was set back with it. */
  setBackMs: number;
  /** The index knows nothing yet. */
  rebuilding: boolean;
  /** Of all segments. */
  records: SegmentRecord[];
  /** Gives wrong bytes from now on. */
  corrupt: boolean;
  reads: number;
}

const DISK = 'disk-1';

function chain(init: Buffer, bodies: readonly Buffer[], startMs: number): SegmentRecord[] {
  let prev = GENESIS;
  return bodies.map((body, i) => {
    const record: SegmentRecord = {
      v: 1,
      stream: 'north.main',
      seq: i + 1,
      run: '01HF00000000000000000000RN',
      boot: 'boot',
      startMs: startMs + i * 1000,
      monoMs: i * 1000,
      decodeTicks: i * 90_000,
      durationTicks: 90_000,
      clock: 'ntp',
      initSha256: sha256(init),
      bytes: body.length,
      sha256: sha256(body),
      recovered: false,
      prev,
    };
    prev = recordLink(record);
    return record;
  });
}

/** What the ring says when a checkpoint was made behind its last segment. */
export function anchorAt(records: readonly SegmentRecord[], seq: number, signer: Signer): Anchor {
  const following = records.slice(seq);
  const last = records.at(-1)!;
  const heads = { [last.stream]: { seq: last.seq, link: recordLink(last) } };
  const at = new Date(last.startMs).toISOString();
  const content = {
    v: 1,
    site: 'site',
    box: 'box',
    disk: DISK,
    n: 1,
    prev: GENESIS,
    at,
    clock: 'ntp',
    heads,
    audit: null,
  };
  return { records: following, checkpoint: signEnvelope(CHECKPOINT_TYPE, canonicalBytes(content), signer) };
}

/** One stream of which every second is a segment; the port as clips define it. */
export function fakeRing(startMs: number, seconds = 8): FakeRing {
  const { init, bodies } = footageBytes(seconds);
  const records = chain(init, bodies, startMs);
  const ring: FakeRing = {
    rebuilding: false,
    records,
    startMs,
    openFromMs: Infinity,
    formatChangesAtMs: Infinity,
    setBackMs: 0,
    corrupt: false,
    reads: 0,
    plan({ fromMs, toMs }) {
      const isNew = (record: SegmentRecord): boolean => record.startMs + 1000 > ring.formatChangesAtMs;
      const all = records.map((record) => ({
        seq: record.seq,
        startMs: record.startMs - (isNew(record) ? ring.setBackMs : 0),
        endMs: record.startMs + 1000 - (isNew(record) ? ring.setBackMs : 0),
        bytes: record.bytes,
        sha256: record.sha256,
        link: recordLink(record),
        clock: 'ntp',
        recovered: false,
        record,
      }));
      const touched = all.filter((segment) => segment.startMs < toMs && segment.endMs > fromMs);
      const segments = touched.filter((segment) => segment.endMs <= ring.openFromMs);
      const runs = [
        segments.filter((segment) => !isNew(segment.record)),
        segments.filter((segment) => isNew(segment.record)),
      ];
      const files: PlannedFile[] = runs
        .filter((run) => run.length > 0)
        .map((run) => ({
          run: `run ${run[0]!.seq}`,
          initHash: sha256(init),
          initBytes: init.length,
          startMs: run[0]!.startMs,
          endMs: run.at(-1)!.endMs,
          bytes: init.length + run.reduce((sum, segment) => sum + segment.bytes, 0),
          segments: run,
        }));
      const missing = ring.rebuilding ? [] : files;
      const open = segments.length < touched.length;
      return Promise.resolve({ files: missing, gaps: [], open, disk: DISK, rebuilding: ring.rebuilding });
    },
    readInit(grant) {
      check(grant);
      return Promise.resolve(init);
    },
    readBody(grant, { seq, offset, length }) {
      check(grant);
      ring.reads++;
      const bytes = Buffer.from(bodies[seq - 1]!.subarray(offset, offset + length));
      if (ring.corrupt) bytes[0] = bytes[0]! ^ 1;
      return Promise.resolve(bytes);
    },
  };
  return ring;
}

function check(grant: Grant): void {
  grant.signal.throwIfAborted();
}

export interface FakeGate extends GatePort {
  allow: (request: AccessRequest) => boolean;
  code: DenialCode;
  requests: AccessRequest[];
  ends: { outcome: string; bytes: number }[];
  /** Withdraws everything that runs. */
  revoke(): void;
}

export function fakeGate(): FakeGate {
  const open: AbortController[] = [];
  const gate: FakeGate = {
    allow: () => true,
    code: 'POLICY_DENIED',
    requests: [],
    ends: [],
    revoke() {
      gate.allow = () => false;
      for (const one of open) one.abort(new BluelightError('PAUSED_BY_OWNER', 'paused'));
    },
    authorise(request) {
      gate.requests.push(request);
      if (!gate.allow(request)) return Promise.reject(new BluelightError(gate.code, 'not shared'));
      const abort = new AbortController();
      open.push(abort);
      return Promise.resolve({
        id: ulid(clock.now()),
        camera: request.camera,
        kind: request.kind,
        range: request.range,
        expiresAtMono: Infinity,
        signal: abort.signal,
      } as Grant);
    },
    finished(_grant, end) {
      gate.ends.push(end);
      return Promise.resolve();
    },
  };
  return gate;
}

export function clipRoom(
  claim: ClaimFile,
  parts: { calls: TableCalls; signer: Signer; ring: FakeRing; gate: FakeGate },
  more: Partial<ClipsOptions> & { chunkBytes?: number; stallMs?: number } = {},
): { clips: Clips; uplinks: Uplinks; states: string[]; stop: () => Promise<void> } {
  const states: string[] = [];
  const uplinks = createUplinks({
    clock,
    log: silentLog,
    links: [link('fiber')],
    ledger: memoryLedger(),
    center: claim.center,
    chunkBytes: more.chunkBytes ?? 256 * 1024,
    stallMs: more.stallMs ?? 5_000,
  });
  const clips = createClips({
    clock,
    log: silentLog,
    site: claim.site,
    box: claim.box,
    signer: parts.signer,
    footage: parts.ring,
    gate: parts.gate,
    cameraName: () => 'North',
    clockOffsetMs: () => 0,
    policyVersion: () => 1,
    masks: () => [],
    stills: new Stills({
      clock,
      processes: systemProcesses(clock),
      footage: parts.ring,
      live: { subscribe: () => () => undefined },
    }),
    table: parts.calls.clips,
    uplinks,
    anchors: { anchor: () => Promise.resolve(null) },
    onAnchor: () => Promise.resolve(true),
    setLeases: () => undefined,
    onState: (clip) => {
      if (states.at(-1) !== clip.state) states.push(clip.state);
    },
    motion: { preRollMs: 1_000, postRollMs: 1_000, maxLengthMs: 60_000, rendition: 'original' },
    random: () => 0,
    ...more,
  });
  return {
    clips,
    uplinks,
    states,
    async stop() {
      await clips.stop();
      uplinks.close();
    },
  };
}
