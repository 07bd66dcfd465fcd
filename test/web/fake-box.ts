import { BluelightError } from '../../src/base/errors.js';
import type { Alarm } from '../../src/contract/alarm.js';
import type { RingCheckReport } from '../../src/contract/ring.js';
import type { MotionZones } from '../../src/contract/zones.js';
import type { Camera } from '../../src/contract/camera.js';
import type { Clip } from '../../src/contract/clip.js';
import type { Grant } from '../../src/contract/grant.js';
import type { HoldBody, PageEvent, StatusBody, ThreadsBody } from '../../src/contract/http.js';
import type { MotionEvent } from '../../src/contract/motion.js';
import type { AuditEntry, AuditNumbers } from '../../src/contract/audit.js';
import type { AccessRequest } from '../../src/contract/policy.js';
import { toUtc, type TimeRange } from '../../src/contract/primitives.js';
import type { DoorEvent, FootagePart, LiveListener, WebPorts } from '../../src/web/ports.js';
import type { Loop } from './media.js';

const SEGMENT_MS = 10_000;
const CLAIMED = { state: 'active', site: 's', box: 'b', center: 'c', detail: '' } as const;
const RUN = '01KB0000000000000000000000';
/** No picture, but it begins and ends like one. */
export const STILL = Buffer.from(`ffd8${'5a'.repeat(30_000)}ffd9`, 'hex');

export interface FakeCamera {
  id: string;
  name: string;
  main: Loop;
  sub: Loop;
  /** Recorded pieces, wall clock. The last one is still growing. */
  spans: TimeRange[];
  gapReason: string;
  motion: MotionEvent[];
  online: boolean;
}

export interface GivenGrant {
  request: AccessRequest;
  abort: AbortController;
}

/** Stands in for the rest of the agent: footage from a loop, a gate that notes what it was asked. */
export class FakeBox implements WebPorts {
  readonly cams: FakeCamera[];
  readonly asked: AccessRequest[] = [];
  readonly given: GivenGrant[] = [];
  readonly removed: string[] = [];
  readonly added: { address: string; password: string }[] = [];
  readonly clipList: Clip[] = [];
  readonly auditList: AuditEntry[] = [];
  viewers = 0;
  scans = 0;
  /** Cameras that the gate refuses. */
  denied = new Set<string>();
  grantMs = 3_600_000;
  code = 'CORRECT-HORSE';
  role: 'technician' | 'owner' | 'viewer' = 'owner';
  statusPatch: Partial<StatusBody> = {};
  readonly #listeners = new Set<(event: PageEvent) => void>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(cams: FakeCamera[]) {
    this.cams = cams;
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  emit(event: PageEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  #cam(id: string): FakeCamera {
    const cam = this.cams.find((c) => c.id === id);
    if (cam === undefined) throw new BluelightError('UNKNOWN_CAMERA', `There is no camera ${id}.`);
    return cam;
  }

  async authorise(request: AccessRequest): Promise<Grant> {
    this.asked.push(request);
    if (this.denied.has(request.camera)) {
      throw new BluelightError('POLICY_DENIED', 'The owner does not share this camera.', { fix: 'Ask the owner.' });
    }
    const abort = new AbortController();
    this.given.push({ request, abort });
    return {
      id: `01KB${String(this.given.length).padStart(22, '0')}`,
      camera: request.camera,
      kind: request.kind,
      range: request.range,
      expiresAtMono: Number(process.hrtime.bigint() / 1000n) / 1000 + this.grantMs,
      signal: abort.signal,
    } as unknown as Grant;
  }

  readonly ends: { grant: string; outcome: string; bytes: number }[] = [];
  async finished(grant: Grant, end: { outcome: 'done' | 'failed'; bytes: number; why: string }): Promise<void> {
    this.ends.push({ grant: grant.kind, outcome: end.outcome, bytes: end.bytes });
  }

  readonly atTheDoor: DoorEvent[] = [];
  async atDoor(event: DoorEvent): Promise<void> {
    this.atTheDoor.push(event);
  }

  alarmList: Alarm[] = [];
  readonly accepted: string[] = [];
  readonly alarms = {
    list: () => this.alarmList,
    evidence: async () => STILL,
    acceptView: async (camera: string) => void this.accepted.push(camera),
  };

  readonly ring = {
    check: async (): Promise<RingCheckReport> => this.ringReport,
    checkReport: async (): Promise<RingCheckReport> => this.ringReport,
  };
  readonly ringReport: RingCheckReport = {
    ...{ state: 'done', level: 'hash', rebuilt: 1, checked: 1, total: 1, bytes: 1, remainingMs: 0 },
    ...{ findings: [], indexDamaged: false, problem: null },
  };

  readonly zoned = new Map<string, MotionZones>();
  readonly zones = {
    get: async (camera: string) => this.zoned.get(camera) ?? { zones: [], minimumSize: 0, hours: [] },
    set: async (camera: string, zones: MotionZones) => void this.zoned.set(camera, zones),
  };

  claimed: unknown = null;
  readonly identity: WebPorts['identity'] = {
    show: async () => ({
      key: 'A'.repeat(43),
      fingerprint: 'AAAA BBBB CCCC DDDD EEEE',
      claim: CLAIMED,
      centerKey: null,
      centerFingerprint: null,
      keys: [],
      certificate: null,
    }),
    look: async (address = 'https://center') => ({ address, center: 'rtcc', fingerprint: 'AAAA BBBB CCCC DDDD EEEE' }),
    claimFile: async (file) => ((this.claimed = file), CLAIMED),
    claimQr: async (text) => ((this.claimed = text), CLAIMED),
    claimCode: async (body) => ((this.claimed = body), CLAIMED),
    cancelClaim: async () => CLAIMED,
    rotateKey: notHere,
    obey: notHere,
  };

  async verifyLogin(code: string): Promise<{ role: 'technician' | 'owner' | 'viewer'; name: string } | null> {
    return code === this.code ? { role: this.role, name: 'Store owner' } : null;
  }

  readonly logins: WebPorts['logins'] = {
    list: () => Promise.resolve([]),
    technicianCode: () => Promise.resolve({ code: 'K7QM-2XTD', expiresAt: toUtc(Date.now() + 3_600_000) }),
    setViewer: () => Promise.resolve(),
    remove: () => Promise.resolve(),
  };

  async threads(ms: number): Promise<ThreadsBody> {
    return { threads: [{ thread: 'main', p50Ms: 0.1, p99Ms: ms / 1_000, maxMs: 9 }] };
  }

  status(): StatusBody {
    return {
      now: toUtc(Date.now()),
      state: this.cams.every((cam) => cam.online) ? 'ok' : 'problem',
      box: { site: 'jx-store-0042', box: 'box-1', agent: '0.1.0', uptime: 93_784, key: 'A'.repeat(43) },
      problems: this.cams
        .filter((cam) => !cam.online)
        .map((cam) => ({
          code: 'CAMERA_OFFLINE',
          severity: 'critical' as const,
          camera: cam.id,
          message: `${cam.name} does not answer.`,
          fix: 'Check its power and network cable, then its address.',
          since: toUtc(cam.spans.at(-1)!.toMs),
        })),
      streams: this.cams.flatMap((cam) =>
        (['main', 'sub'] as const).map((role) => ({
          stream: `${cam.id}.${role}`,
          camera: cam.id,
          role,
          state: cam.online ? ('recording' as const) : ('offline' as const),
          detail: cam.online ? '' : 'no answer',
          engine: 'ffmpeg' as const,
          width: cam[role].width,
          height: cam[role].height,
          fps: cam.online ? 10 : 0,
          bitrate: role === 'main' ? 2_100_000 : 420_000,
          ageMs: cam.online ? 400 : Date.now() - cam.spans.at(-1)!.toMs,
        })),
      ),
      disk: {
        state: 'ok',
        detail: '',
        bytes: 412e9,
        quota: 900e9,
        free: 560e9,
        days: 21.4,
        oldest: toUtc(Date.now() - 9 * 86_400_000),
        forecast: [],
      },
      clock: { source: 'ntp', offsetMs: 3, trusted: true },
      center: { state: 'acknowledged', id: 'jackson-rtcc', ackAt: toUtc(Date.now() - 12_000), detail: '' },
      queue: { clips: 2, bytes: 48e6, outbox: 3 },
      host: { cpu: 23, mem: 41, temp: 54 },
      ...this.statusPatch,
    };
  }

  cameras = {
    list: (): Camera[] =>
      this.cams.map((cam) => ({
        id: cam.id,
        name: cam.name,
        device: {
          id: `dev-${cam.id}`,
          endpointReference: `urn:uuid:${cam.id}`,
          address: '192.168.1.64',
          xaddr: 'http://192.168.1.64/onvif/device_service',
          make: 'Acme',
          model: 'Bullet 2',
          firmware: '1.2.3',
          serial: 'A1',
          mac: '00:11:22:33:44:55',
        },
        channel: 'vs0',
        main: { uri: 'rtsp://192.168.1.64/main', codec: 'h264', width: 1920, height: 1080, profile: 'main' },
        sub: { uri: 'rtsp://192.168.1.64/sub', codec: 'h264', width: 640, height: 360, profile: 'sub' },
        addedAt: Date.now() - 86_400_000,
      })),
    scan: async (): Promise<void> => {
      this.scans++;
    },
    replace: () => this.cameras.add({ address: '192.168.1.81', password: '' }),
    password: () => Promise.resolve(),
    trust: () => Promise.resolve(this.cameras.list()[0]!.device),
    devices: () =>
      Promise.resolve([
        {
          device: this.cameras.list()[0]!.device,
          cameras: ['front'],
          link: 'ok' as const,
          detail: '',
          fix: '',
          events: { by: 'camera' as const, detail: '' },
        },
      ]),
    io: () => Promise.resolve({ relays: [{ token: 'relay_1', service: 'deviceio' as const }], inputs: ['input_1'] }),
    relay: () => Promise.resolve({ confirmed: true }),
    tune: () => Promise.resolve(['the clock of front is set and kept by the box']),
    discovered: () => ({
      running: false,
      finishedAt: toUtc(Date.now()),
      devices: [
        {
          endpointReference: 'urn:uuid:new',
          address: '192.168.1.80',
          xaddrs: ['http://192.168.1.80/onvif/device_service'],
          name: 'Acme Dome 4',
          hardware: 'D4',
          interface: 'eth1',
          adopted: false,
          reachable: true,
          heardBy: ['onvif' as const, 'node-onvif' as const],
        },
      ],
    }),
    add: async (request: { address: string; password: string }) => {
      this.added.push(request);
      if (request.password === 'wrong') {
        throw new BluelightError('CAMERA_REFUSED', 'The camera refused this user or password.', {
          fix: 'Check both. After two wrong tries this box waits, so that the camera does not lock itself.',
        });
      }
      const [camera] = this.cameras.list();
      return { device: camera!.device, cameras: [camera!] };
    },
    test: async () => ({
      ok: true,
      steps: [{ name: 'Log in', ok: true, detail: 'digest', fix: null, ms: 40 }],
    }),
    remove: async (camera: string): Promise<void> => {
      this.#cam(camera);
      this.removed.push(camera);
    },
  };

  /** The owner's desk has its own tests; here it is there and empty. */
  owner: WebPorts['owner'] = {
    keyId: () => Promise.resolve(null),
    setUp: () => Promise.resolve('key'),
    changePassphrase: () => notHere(),
    lost: () => notHere(),
    preview: () => Promise.resolve({ words: [], table: [], changes: [] }),
    proposals: () => Promise.resolve([]),
    propose: () => Promise.resolve('01KB0000000000000000000000'),
    accept: () => notHere(),
    decline: () => Promise.resolve(),
    sharing: () => ({ enrolment: 'active', paused: false, until: null }),
    pause: () => notHere(),
    resume: () => notHere(),
    optOut: () => notHere(),
    receipts: () => Promise.resolve([]),
    receipt: () => Promise.resolve({ payloadType: 'x', payload: '', signatures: [{ keyid: 'A'.repeat(43), sig: '' }] }),
    approvals: () => Promise.resolve([]),
    answer: () => Promise.resolve(),
    technicianUntil: () => null,
    letTechnicianLook: () => Promise.resolve(),
  };

  footage: WebPorts['footage'] = {
    coverage: async (grant, role, range) => {
      const cam = this.#cam(grant.camera);
      const spans = recorded(cam, range);
      const gaps: { from: string; to: string; reason: string }[] = [];
      let at = range.fromMs;
      for (const span of [...spans, { fromMs: Math.min(range.toMs, Date.now()), toMs: range.toMs }]) {
        if (span.fromMs > at) gaps.push({ from: toUtc(at), to: toUtc(span.fromMs), reason: cam.gapReason });
        at = span.toMs;
      }
      return {
        camera: cam.id,
        role,
        from: toUtc(range.fromMs),
        to: toUtc(range.toMs),
        spans: spans.map((span) => ({ from: toUtc(span.fromMs), to: toUtc(span.toMs), bytes: 1000 })),
        gaps,
        bytes: spans.length * 1000,
      };
    },
    parts: async (grant, role, range) => {
      const cam = this.#cam(grant.camera);
      return cam.spans.flatMap((span, i): FootagePart[] => {
        const segments = [];
        for (let n = 0; span.fromMs + n * SEGMENT_MS < endOf(cam, span); n++) {
          const fromMs = span.fromMs + n * SEGMENT_MS;
          const toMs = fromMs + SEGMENT_MS;
          if (toMs <= range.fromMs || fromMs >= range.toMs || toMs > endOf(cam, span)) continue;
          segments.push({ seq: i * 1_000_000 + n, fromMs, toMs, bytes: segmentBytes(cam[role], n).length });
        }
        const { codec, width, height } = cam[role];
        const run = RUN.slice(0, -1) + String(i);
        const init = { sha256: '0'.repeat(64), bytes: cam[role].init.length };
        return segments.length === 0 ? [] : [{ run, codec, width, height, zeroMs: span.fromMs, init, segments }];
      });
    },
    init: async (grant, role) => this.#cam(grant.camera)[role].init,
    segment: async (grant, role, seq, part = { offset: 0, length: Infinity }) =>
      segmentBytes(this.#cam(grant.camera)[role], seq % 1_000_000).slice(part.offset, part.offset + part.length),
  };

  live: WebPorts['live'] = {
    subscribe: (grant, role, listener: LiveListener) => {
      const cam = this.#cam(grant.camera);
      this.viewers++;
      if (!cam.online) {
        listener.paused('camera_offline', 'The camera does not answer.');
        return () => void this.viewers--;
      }
      const loop = cam[role];
      const { codec, width, height, init } = loop;
      let n = 0;
      listener.run({ run: RUN, codec, width, height, init, zeroMs: Date.now() - 1000 });
      const send = (): void => listener.fragment({ key: true, bytes: loop.fragment(n++) });
      send();
      send();
      const timer = setInterval(send, loop.fragmentMs);
      this.#timers.add(timer);
      return () => {
        this.viewers--;
        clearInterval(timer);
        this.#timers.delete(timer);
      };
    },
  };

  readonly taken: { camera: string; role: string; atMs: number | null }[] = [];
  /** What `stills.take` fails with. */
  stillFails: BluelightError | null = null;
  stills: WebPorts['stills'] = {
    range: async (camera, _role, atMs) => {
      const span = this.#cam(camera).spans.find((one) => one.fromMs <= atMs && atMs < one.toMs);
      if (span === undefined) return { fromMs: atMs, toMs: atMs + 1 };
      const fromMs = atMs - ((atMs - span.fromMs) % SEGMENT_MS);
      return { fromMs, toMs: fromMs + SEGMENT_MS };
    },
    take: async (grant, role, atMs) => {
      if (this.stillFails !== null) throw this.stillFails;
      this.taken.push({ camera: grant.camera, role, atMs });
      return { jpeg: STILL, atMs: atMs ?? Date.now() };
    },
  };

  async motion(grant: Grant, range: TimeRange): Promise<MotionEvent[]> {
    return this.#cam(grant.camera).motion.filter((event) => {
      const end = event.end === null ? Date.now() : Date.parse(event.end);
      return Date.parse(event.start) < range.toMs && end > range.fromMs;
    });
  }

  clips: WebPorts['clips'] = {
    make: async (grant, request) => {
      const clip: Clip = {
        id: `01KBCC${String(this.clipList.length).padStart(20, '0')}`,
        camera: grant.camera,
        from: request.from,
        to: request.to,
        rendition: request.rendition,
        priority: request.priority,
        state: request.send ? 'queued' : 'local',
        detail: '',
        motionEvent: null,
        bytes: 2_400_000,
        sentBytes: 0,
        sha256: null,
        createdAt: toUtc(Date.now()),
        deliveredAt: null,
      };
      this.clipList.unshift(clip);
      return clip;
    },
    list: async () => this.clipList,
    get: async (id) => this.clipList.find((clip) => clip.id === id) ?? null,
    manifest: async () => null,
    anchor: async () => null,
    open: async (grant: Grant) => {
      const { main } = this.#cam(grant.camera);
      const file = Buffer.concat([main.init, segmentBytes(main, 0)]);
      const chunks = async function* (from: number, to: number) {
        yield file.subarray(from, to);
      };
      return { name: 'clip.mp4', bytes: file.length, sha256: '1'.repeat(64), chunks };
    },
    queue: async () => ({
      clips: this.clipList.filter((clip) => clip.state === 'queued' || clip.state === 'uploading'),
      bytes: 48e6,
      sentBytes: 12e6,
      outbox: 3,
    }),
  };

  holds: WebPorts['holds'] = {
    list: async () => ({ holds: this.held, bytes: 0, limitBytes: 1e9 }),
    add: async ({ camera, range, reason, expiresMs }, by) => {
      const hold: HoldBody = {
        id: `01KBHD${String(this.held.length).padStart(20, '0')}`,
        camera,
        from: toUtc(range.fromMs),
        to: toUtc(range.toMs),
        reason,
        by: by.name,
        center: false,
        createdAt: toUtc(Date.now()),
        expiresAt: expiresMs === null ? null : toUtc(expiresMs),
        bytes: 0,
      };
      this.held.push(hold);
      return hold;
    },
    release: async (id) => {
      this.held = this.held.filter((one) => one.id !== id);
    },
  };
  held: HoldBody[] = [];

  async policy() {
    return {
      version: 3,
      authority: 'owner' as const,
      timeZone: 'America/Chicago',
      notifyDelaySeconds: 0,
      cameras: this.cams.map((cam, i) => ({
        camera: cam.id,
        mode: (['live', 'clips', 'emergency', 'ask'] as const)[i % 4]!,
        hours: i === 1 ? [{ days: ['mon' as const, 'fri' as const], from: '20:00', to: '06:00' }] : [],
        stills: false,
        sightings: false,
        autoClips: i < 2,
        retentionMaxDays: null,
        masks: [],
      })),
    };
  }

  /** What the page asked the list for. */
  readonly auditAsked: object[] = [];
  audit: WebPorts['audit'] = {
    list: async (query) => {
      this.auditAsked.push(query);
      const looks = query.about !== 'everything';
      return this.auditList
        .filter(({ seq, kind }) => seq < (query.before ?? Infinity) && (!looks || !kind.includes('.')))
        .slice(0, query.limit);
    },
    digest: async () => this.#digest('2026-11-16T00:00:00.000Z', '2026-11-23T00:00:00.000Z'),
    numbers: async (year) => this.#digest(`${year}-01-01T06:00:00.000Z`, `${year + 1}-01-01T06:00:00.000Z`),
    verify: async () => ({ rows: this.auditList.length, link: '0'.repeat(64), fault: null, checkpoint: null }),
    async *export() {
      yield '{}\n';
    },
  };

  readonly backups: string[] = [];
  backup: WebPorts['backup'] = {
    make: async (passphrase) => {
      this.backups.push(passphrase);
      return Buffer.from('sealed');
    },
  };

  #digest(from: string, to: string) {
    const summary = ['People outside looked 3 times and were refused once: 2 named persons, 1 cases.'];
    return { from, to, timeZone: 'America/Chicago', numbers: NUMBERS, summary, lines: [], more: 0 };
  }

  subscribe(listener: (event: PageEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const NUMBERS: AuditNumbers = {
  granted: { clip: 2, live: 1 },
  refused: { clip: 1 },
  refusedByCode: { OUTSIDE_HOURS: 1 },
  byAgency: { JPD: { granted: 3, refused: 1, bytes: 48_000_000 } },
  byReason: [{ reason: 'robbery reported at 5th and Main', granted: 3, refused: 1 }],
  otherReasons: 0,
  persons: 2,
  cases: 1,
  withoutCase: 1,
  byCamera: { 'cam-2': 3 },
  clipsUnasked: 12,
  bytesOut: 60_000_000,
  localLooks: { owner: 4 },
  commands: { carriedOut: 3, refused: 1, failed: 0 },
  logins: { done: 2, refused: 1 },
  policyChanges: 0,
  pauses: 1,
  emergencies: 0,
  emergencyLooks: 0,
};

function notHere(): Promise<never> {
  return Promise.reject(new BluelightError('UNSUPPORTED', 'not in this box'));
}

function endOf(cam: FakeCamera, span: TimeRange): number {
  return cam.online && span === cam.spans.at(-1) ? Date.now() : span.toMs;
}

function recorded(cam: FakeCamera, range: TimeRange): TimeRange[] {
  return cam.spans
    .map((span) => ({ fromMs: Math.max(span.fromMs, range.fromMs), toMs: Math.min(endOf(cam, span), range.toMs) }))
    .filter((span) => span.fromMs < span.toMs);
}

function segmentBytes(loop: Loop, n: number): Uint8Array {
  const per = SEGMENT_MS / loop.fragmentMs;
  return Buffer.concat(Array.from({ length: per }, (_, i) => loop.fragment(n * per + i)));
}
