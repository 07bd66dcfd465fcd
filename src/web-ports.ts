import { BluelightError } from './base/errors.js';
import { backupDesk } from './backup-desk.js';
import type { Clock } from './base/clock.js';
import type { Log } from './base/log.js';
import type { Cameras } from './cameras/cameras.js';
import type { OpenedClip } from './clips/index.js';
import type { Stills } from './clips/stills.js';
import { clip as clipSchema, type Clip } from './contract/clip.js';
import type { Grant } from './contract/grant.js';
import type { Party, PolicyDocument } from './contract/policy.js';
import { assembleStatus, type BoxReading } from './health/status.js';
import type { Logins } from './identity/logins.js';
import type { Ledger } from './ledger.js';
import type { LiveHub } from './ingest/live-hub.js';
import type { Outside } from './outside.js';
import type { PageEvents } from './page-events.js';
import { doorOf, partyColumns } from './policy/audit-note.js';
import type { Gate } from './policy/gate.js';
import type { Footage } from './ring/footage.js';
import type { Recording } from './recording.js';
import type { SiteAlarms } from './site-alarms.js';
import type { SiteZones } from './site-zones.js';
import type { Settings } from './settings/table.js';
import type { Store } from './store/client.js';
import type { AuditPort, HoldsPort, IdentityPort, LoginsPort, OwnerPort, WebPorts } from './web/ports.js';

export interface WebPortsOptions {
  clock: Clock;
  settings: Settings;
  store: Store;
  gate: Gate;
  cameras: Cameras;
  footage: Footage;
  live: LiveHub;
  stills: Stills;
  logins: Logins;
  outside: Outside;
  ledger: Ledger;
  events: PageEvents;
  owner: OwnerPort;
  holds: HoldsPort;
  identity: IdentityPort;
  loginDesk: LoginsPort;
  audit: AuditPort;
  alarms: SiteAlarms;
  media: Recording['media'];
  zones: SiteZones;
  ring: Recording['ring'];
  reading: () => BoxReading;
  threads: WebPorts['threads'];
  log: Log;
}

const MOST_EVENTS = 2_000;
const MOST_CLIPS = 200;
/** As long as nobody set terms. */
const NO_TERMS: PolicyDocument = {
  version: 0,
  authority: 'owner',
  timeZone: 'UTC',
  notifyDelaySeconds: 0,
  cameras: [],
};

/** What the page and the API need, out of the rooms that have it. */
export function webPorts(o: WebPortsOptions): WebPorts {
  const { store, gate, footage, outside } = o;
  return {
    async authorise(request) {
      // The gate decides on what would really be shown: whole segments.
      const whole = ['playback', 'export', 'clip'].includes(request.kind);
      const range = whole ? await footage.roundOut(request.camera, request.range) : request.range;
      return gate.authorise({ ...request, range });
    },
    finished: (grant, end) => gate.finished(grant, end),
    atDoor: (event) => o.ledger.atDoor(event),
    verifyLogin: (code) => o.logins.verify(code),
    status: () => assembleStatus(o.reading()),
    threads: (ms) => o.threads(ms),
    logins: o.loginDesk,
    identity: o.identity,
    owner: o.owner,
    holds: o.holds,
    alarms: {
      list: () => o.alarms.list(),
      evidence: (_grant, id, which) => o.alarms.evidence(id, which),
      async acceptView(camera, by) {
        await o.alarms.forgetView(camera);
        await o.media.setView({ camera, view: null });
        await gate.note(configNote(by, 'camera.accept_view', camera));
      },
    },
    zones: {
      get: (camera) => o.zones.get(camera),
      async set(camera, zones, by) {
        await o.zones.set(camera, zones);
        await gate.note(configNote(by, 'camera.zones', camera));
      },
    },
    ring: {
      async check(ask, by) {
        const report = await o.ring.startCheck(ask);
        await gate.note(configNote(by, 'ring.check', null));
        return report;
      },
      checkReport: () => o.ring.checkReport(undefined),
    },
    cameras: {
      list: () => o.cameras.list(),
      scan: (options) => o.cameras.scan(options),
      discovered: () => o.cameras.discovered(),
      async add(request, by) {
        const added = await o.cameras.add(request);
        for (const { id } of added.cameras) await gate.note(configNote(by, 'camera.add', id));
        return added;
      },
      async replace(id, request, by) {
        const added = await o.cameras.replace(id, request);
        await gate.note(configNote(by, 'camera.replace', id));
        return added;
      },
      async password(id, credentials, by) {
        await o.cameras.password(id, credentials);
        await gate.note(configNote(by, 'camera.password', id));
      },
      async trust(id, by) {
        const device = await o.cameras.trust(id);
        await gate.note(configNote(by, 'camera.trust', id));
        return device;
      },
      devices: () => o.cameras.devices(),
      io: (id) => o.cameras.io(id),
      async relay(id, relay, by) {
        const result = await o.cameras.relay(id, relay);
        await gate.note(configNote(by, 'camera.relay', id));
        return result;
      },
      async tune(id, body, by) {
        const changed = await o.cameras.tune(id, body);
        await gate.note(configNote(by, 'camera.tune', id));
        return changed;
      },
      test: (id) => o.cameras.test(id),
      async remove(id, by) {
        await o.cameras.remove(id);
        await gate.note(configNote(by, 'camera.remove', id));
      },
    },
    footage,
    live: o.live,
    stills: o.stills,
    async motion(grant, { fromMs, toMs }) {
      return store.motion.list({ camera: grant.camera, fromMs, toMs, limit: MOST_EVENTS });
    },
    clips: {
      async make(grant, body, by) {
        const clip = await outside.clips.request({
          camera: grant.camera,
          fromMs: Date.parse(body.from),
          toMs: Date.parse(body.to),
          rendition: body.rendition === 'proxy' || body.role === 'sub' ? 'proxy' : 'original',
          priority: body.priority,
          party: by.party,
          door: by.door,
          reason: body.reason,
          send: body.send,
        });
        return clipSchema.parse(clip);
      },
      list: async () => (await outside.clips.list({ limit: MOST_CLIPS })).map(publicClip),
      async get(id) {
        const clip = await outside.clips.get(id);
        return clip === null ? null : publicClip(clip);
      },
      async manifest(grant, id) {
        await ownClip(outside, grant, id);
        if (gate.later.has((await outside.clips.get(id))?.job ?? null)) throw TOLD_LATER();
        return outside.clips.manifest(id);
      },
      async anchor(grant, id) {
        await ownClip(outside, grant, id);
        return outside.clips.anchor(id);
      },
      async open(grant, id, { party, door }) {
        await ownClip(outside, grant, id);
        const opened = await outside.clips.open(id, { party, door });
        const { name, bytes, sha256 } = opened;
        return { name, bytes, sha256, chunks: (from, to) => chunksOf(opened, from, to) };
      },
      async queue() {
        const waiting = await store.clips.next({ atMs: Number.MAX_SAFE_INTEGER, limit: MOST_CLIPS });
        const { queue } = o.reading();
        const sentBytes = waiting.reduce((sum, clip) => sum + clip.sentBytes, 0);
        return { clips: waiting.map(publicClip), bytes: queue.bytes, sentBytes, outbox: queue.outbox };
      },
    },
    policy: () => Promise.resolve(gate.terms.document ?? NO_TERMS),
    audit: o.audit,
    backup: backupDesk(o),
    subscribe: (listener) => o.events.subscribe(listener),
  };
}

/** A manifest names who asked and why. */
const TOLD_LATER = (): BluelightError =>
  new BluelightError('TOLD_LATER', 'Who asked for this clip and why is told later, as the terms allow.', {
    fix: 'ask again later; the terms say how long it takes at most',
    retryable: true,
  });

/** A permission for one camera opens no clip of another. */
async function ownClip({ clips }: Outside, grant: Grant, id: string): Promise<void> {
  const clip = await clips.get(id);
  if (clip !== null && clip.camera === grant.camera) return;
  throw new BluelightError('POLICY_DENIED', `this permission is for ${grant.camera}, not for the clip ${id}`);
}

const CHUNK_BYTES = 1024 * 1024;

/** The audit log is told how much was really taken, also when the reader goes away in the middle. */
async function* chunksOf({ file, finished }: OpenedClip, from: number, to: number): AsyncGenerator<Uint8Array> {
  let at = from;
  try {
    while (at < to) {
      const chunk = await file.read(at, Math.min(CHUNK_BYTES, to - at));
      yield chunk;
      at += chunk.length;
    }
  } finally {
    await finished({ bytes: at - from, whole: at === to });
  }
}

function configNote(by: Party, action: string, camera: string | null): Parameters<Gate['note']>[0] {
  return { kind: 'config', outcome: 'done', ...partyColumns(by), door: doorOf(by), action, camera, reason: '' };
}

/** Without what only the box needs to know. */
function publicClip(clip: Clip): Clip {
  return clipSchema.parse(clip);
}
