import type { Duplex } from 'node:stream';
import type { Clock } from './base/clock.js';
import { BluelightError, errorMessage } from './base/errors.js';
import { ulid } from './base/ids.js';
import type { Log, Redactor } from './base/log.js';
import { createCenter, type Center, type Inbox } from './center/index.js';
import { createClips, type AnchorPort, type Clips, type StillPort } from './clips/index.js';
import type { Alarm } from './contract/alarm.js';
import type { Camera } from './contract/camera.js';
import { clip as clipSchema, type Clip } from './contract/clip.js';
import type { JobMessage } from './contract/commands.js';
import type { Envelope } from './contract/evidence.js';
import { EVENT_ACCESS, type EventType, type InfoMessage, type PolicyReported } from './contract/messages.js';
import type { MotionEvent } from './contract/motion.js';
import type { Host } from './health/host.js';
import { assembleHeartbeat, type BoxReading } from './health/status.js';
import type { BoxKey } from './identity/box-key.js';
import type { Claims, Membership } from './identity/claims.js';
import { toUtc } from './contract/primitives.js';
import type { Bound } from './policy/command-admission.js';
import type { Gate } from './policy/gate.js';
import { Reports } from './policy/reports.js';
import type { OutsideReading } from './reading.js';
import type { Footage } from './ring/footage.js';
import type { Protection } from './ring/types.js';
import type { Settings } from './settings/table.js';
import type { StoredClip } from './store/clips.js';
import type { Store } from './store/client.js';
import { createUplinks, type DialTarget, type Uplinks } from './uplinks/index.js';
import { VERSION } from './version.js';

export interface OutsideOptions {
  clock: Clock;
  log: Log;
  settings: Settings;
  store: Store;
  claims: Claims;
  signer: BoxKey;
  redactor: Redactor;
  footage: Footage;
  gate: Gate;
  reading: () => BoxReading;
  host: Host;
  cameras: () => readonly Camera[];
  /** The whole list of what the ring must keep. */
  protect: (protections: Protection[]) => Promise<void>;
  onClip: (clip: Clip) => void;
  anchors: AnchorPort;
  stills: StillPort;
  /** What the center asks for. */
  inbox: Inbox;
  /** Open jobs and those that ended lately. */
  jobs: () => Promise<JobMessage[]>;
  /** Signed words of the center on keys and membership. */
  onEnrolment: (text: string) => void;
}

interface Parts {
  membership: Membership | null;
  uplinks: Uplinks;
  clips: Clips;
  center: Center | null;
}

const UNCLAIMED = { site: 'unclaimed', box: 'unclaimed' };
/** Outbox stream of what is about no camera. */
const BOX_STREAM = 'box';
const QUEUE_MS = 2_000;
const LEDGER_MS = 10_000;
/** Where the kernel's counters of the links stood. */
const COUNTERS = 'uplinks.counters';
/** Motion events that may still lack their clips: those of a day before the agent was stopped or claimed. */
const DAY_MS = 86_400_000;
const NO_END = { toMs: Number.MAX_SAFE_INTEGER, limit: 10_000 };
/** Denials that a change of terms may lift. */
const LIFTABLE = ['POLICY_DENIED', 'OUTSIDE_HOURS', 'PAUSED_BY_OWNER', 'NOT_ENROLLED', 'OWNER_APPROVAL_REQUIRED'];

/**
 * Everything that depends on whose box this is: uplinks, clips and the session with the center. Built anew when the
 * box is claimed; until then clips can be made but not sent, and events wait in the outbox.
 */
export class Outside {
  readonly #o: OutsideOptions;
  readonly #reports: Reports;
  readonly #stops: (() => void)[] = [];
  #parts: Parts | undefined;
  #leases: Protection[] = [];
  /** Counts the changes of what the ring must keep, and which of them it has taken. */
  #protection = { wanted: 1, told: 0 };
  #queue = { clips: 0, bytes: 0, outbox: 0 };

  constructor(options: OutsideOptions) {
    this.#o = options;
    this.#reports = new Reports(options.gate, options.clock);
  }

  get clips(): Clips {
    return this.#running().clips;
  }

  async start(): Promise<void> {
    await this.#open();
    const { clock, gate } = this.#o;
    await this.#readQueue();
    this.#stops.push(
      clock.every(QUEUE_MS, () => this.#readQueue()),
      clock.every(QUEUE_MS, () => this.#protect()),
      clock.every(QUEUE_MS, () => this.#confirmClaim()),
      clock.every(LEDGER_MS, () => this.#ledger()),
      gate.onChange(() => this.#kept(this.#policyChanged())),
    );
  }

  async stop(reason: 'shutdown' | 'update' | 'power'): Promise<void> {
    for (const stop of this.#stops.splice(0)) stop();
    await this.#close(reason);
  }

  /** The claim or its keys are other ones: everything that hangs on them is built anew. */
  async reopen(): Promise<void> {
    await this.#close('shutdown');
    await this.#open();
  }

  /** A connection to the outside, for who has no other way: the claim. */
  dial(target: DialTarget): Promise<Duplex> {
    return this.#running().uplinks.dial(target);
  }

  /** The claim is complete when the center itself has answered for the first time. */
  async #confirmClaim(): Promise<void> {
    const { membership, center } = this.#parts ?? {};
    if (membership?.claim.state !== 'pending' || !center || center.status().centerReachedAt === null) return;
    await this.#o.claims.confirm(membership.claim.id);
    membership.claim.state = 'active';
  }

  /** Takes back what the center's broker keeps for this box. False: it was not reached. */
  async leaveCenter(): Promise<boolean> {
    return (await this.#parts?.center?.leave()) ?? true;
  }

  /** Forgets the center: the box is nobody's again. @param cleared its broker keeps nothing of the box */
  async endClaim(why: string, cleared: boolean): Promise<void> {
    await this.#o.claims.end(why, cleared);
    await this.reopen();
  }

  /** A motion event goes into the outbox at once, and asks for its clip. */
  async motion(event: MotionEvent): Promise<void> {
    this.#parts?.clips.motion(event);
    await this.#event(`bluelight.motion.${event.phase}`, event.camera, event);
  }

  /** How well a camera sees is told like the heartbeat: it says nothing of what it sees. */
  async alarm(alarm: Alarm, state: 'raised' | 'cleared'): Promise<void> {
    await this.#event(`bluelight.alarm.${state}`, alarm.camera ?? BOX_STREAM, alarm);
  }

  /** Whose commands count; null: nobody's. */
  bound(): Bound | null {
    const claim = this.#parts?.membership?.claim;
    return claim === undefined ? null : { site: claim.site, box: claim.box, centerKeys: [claim.center.key] };
  }

  async reportJob(message: JobMessage): Promise<void> {
    await this.#parts?.center?.reportJob(message);
  }

  async rebirth(): Promise<void> {
    await this.#parts?.center?.rebirth();
  }

  /** Resolves when the ring was told. One that hangs on its disk, and so deletes nothing, is told again and again. */
  async holdsChanged(): Promise<void> {
    this.#protection.wanted++;
    await this.#protect().catch((error: unknown) => this.#o.log.warn({}, errorMessage(error)));
  }

  /** Into the outbox; false: it is full. Names streams and hashes only, so that the owner's terms do not bind it. */
  checkpoint(checkpoint: Envelope): Promise<boolean> {
    return this.#event('bluelight.checkpoint', BOX_STREAM, { checkpoint });
  }

  /** Something changed that the center should not wait for. */
  async beat(): Promise<void> {
    await this.#parts?.center?.beat();
  }

  /** Cameras were added or removed: the birth message says so. */
  async refresh(): Promise<void> {
    await this.#parts?.center?.refresh();
  }

  reading(): OutsideReading {
    const { membership, center } = this.#parts ?? { membership: null, center: null };
    const { site, box } = membership?.claim ?? UNCLAIMED;
    const status = center?.status();
    const agoMs = status?.centerReachedAgoMs ?? null;
    const offsetMs = status?.clockOffsetMs ?? null;
    const acknowledged = agoMs !== null && agoMs < 3 * this.#heartbeatMs(this.#parts?.uplinks) + 10_000;
    return {
      site,
      box,
      claimed: membership !== null,
      clock: agoMs === null || offsetMs === null ? null : { agoMs, offsetMs: Math.round(offsetMs) },
      queue: { ...this.#queue, outbox: status?.outbox ?? this.#queue.outbox },
      center: {
        id: membership?.claim.center.id ?? null,
        ackAtMs: status?.centerReachedAt ?? null,
        state:
          status === undefined
            ? 'unclaimed'
            : acknowledged
              ? 'acknowledged'
              : status.state === 'connected'
                ? 'connected'
                : status.state === 'connecting'
                  ? 'connecting'
                  : 'offline',
        detail: acknowledged ? '' : (status?.lastError?.message ?? ''),
      },
    };
  }

  async #open(): Promise<void> {
    const { clock, log, settings, store, signer, gate, footage, claims, redactor } = this.#o;
    const membership = await claims.membership();
    if (membership?.password) redactor.add(membership.password);
    const claim = membership?.claim;
    const uplinks = createUplinks({
      clock,
      log,
      links: settings['uplinks.links'],
      ledger: {
        add: (entries) => store.bytes.add(entries),
        sums: (ask) => store.bytes.sums(ask),
        loadCounters: () => store.kv.get(COUNTERS),
        saveCounters: (value) => store.kv.put({ key: COUNTERS, value }),
      },
      onCurrent: () => this.#parts?.clips.kick(),
      center: claim === undefined ? null : { ...claim.center },
    });
    await uplinks.open();
    const clips = createClips({
      clock,
      log,
      site: claim?.site ?? UNCLAIMED.site,
      box: claim?.box ?? UNCLAIMED.box,
      signer,
      table: store.clips,
      footage,
      gate,
      uplinks,
      anchors: this.#o.anchors,
      onAnchor: ({ id, camera }, anchor) => this.#event('bluelight.anchor', camera, { clip: id, anchor }),
      cameraName: (id) => this.#o.cameras().find((camera) => camera.id === id)?.name ?? id,
      clockOffsetMs: () => this.reading().clock?.offsetMs ?? null,
      policyVersion: () => gate.terms.document?.version ?? 0,
      stills: this.#o.stills,
      // Of several lines for one camera the masks of all: rather too much is hidden than too little.
      masks: (id) => gate.terms.document?.cameras.flatMap((terms) => (terms.camera === id ? terms.masks : [])) ?? [],
      setLeases: (leases) => {
        this.#leases = leases.map((lease) => ({ ...lease, kind: 'lease' as const }));
        this.#protection.wanted++;
        this.#kept(this.#protect());
      },
      onState: (clip) => this.#clipState(clip),
      motion: {
        preRollMs: settings['motion.pre_roll'],
        postRollMs: settings['motion.post_roll'],
        maxLengthMs: settings['clips.max_length'],
        rendition: settings['clips.rendition'],
      },
    });
    const center = membership === null || membership.waiting ? null : this.#center(membership, uplinks);
    this.#parts = { membership, uplinks, clips, center };
    const motion = await store.motion.list({ camera: null, fromMs: clock.now() - DAY_MS, ...NO_END });
    await clips.start(motion);
    center?.start();
  }

  #center({ claim, password }: Membership, uplinks: Uplinks): Center {
    const { clock, log, store, reading } = this.#o;
    return createCenter({
      clock,
      log,
      claim: {
        schema: 1,
        site: claim.site,
        box: claim.box,
        center: { ...claim.center, ...(password === null ? {} : { password }) },
      },
      outbox: store.outbox,
      heartbeat: (beat) => assembleHeartbeat(reading(), beat),
      info: () => this.#info(),
      inbox: this.#o.inbox,
      reports: { policy: () => this.#policyReport(), jobs: () => this.#o.jobs() },
      onEnrolment: (text) => this.#o.onEnrolment(text),
      dial: (target) => uplinks.dial(target),
      heartbeatMs: () => this.#heartbeatMs(uplinks),
      keepaliveS: () => (metered(uplinks) ? 60 : 20),
    });
  }

  /** A metered link gets fewer. */
  #heartbeatMs(uplinks: Uplinks | undefined): number {
    const flat = uplinks === undefined || !metered(uplinks);
    return this.#o.settings[flat ? 'center.heartbeat' : 'center.heartbeat_metered'];
  }

  #info(): Omit<InfoMessage, 'schema' | 'session' | 'ts'> {
    const { facts } = this.#o.host;
    return {
      hw: facts.hardware,
      os: facts.os,
      agent: VERSION,
      capabilities: ['record', 'motion', 'clip.original', 'clip.proxy'],
      keyId: this.#o.signer.keyId,
      rotations: [...this.#o.signer.statements],
      cameras: this.#o.cameras().map((camera) => ({
        id: camera.id,
        name: camera.name,
        make: camera.device.make,
        model: camera.device.model,
        fw: camera.device.firmware,
        mac: camera.device.mac,
        serial: camera.device.serial,
        channel: camera.channel,
        streams: [camera.main, camera.sub].flatMap((stream, i) =>
          stream === null ? [] : [{ role: i === 0 ? 'main' : 'sub', ...pick(stream) }],
        ),
      })),
    };
  }

  async #clipState(clip: StoredClip): Promise<void> {
    this.#o.onClip(clipSchema.parse(clip));
    if (clip.state === 'uploading' || clip.state === 'local') return;
    const { camera, from, to, state, bytes, sha256, detail } = clip;
    // One event a state: progress of the queue is in the heartbeat.
    if (state === 'queued' && detail !== '') return;
    await this.#event('bluelight.clip', camera, { clip: clip.id, camera, from, to, state, bytes, sha256, detail });
  }

  /** When somebody was before a camera is told under the same terms as its pictures. A stream is a camera then. */
  async #event(type: EventType, stream: string, data: unknown): Promise<boolean> {
    const kind = EVENT_ACCESS[type];
    if (kind !== null && !(await this.#reports.may(stream, kind))) return false;
    const center = this.#parts?.center;
    if (center) return center.event({ type, stream, data });
    const timeMs = this.#o.clock.now();
    const entry = { stream, id: ulid(timeMs), class: 'normal' as const, type, timeMs, data };
    return (await this.#o.store.outbox.append(entry)) !== null;
  }

  /**
   * Tells the ring what it must keep, if anything changed since it took that. A ring that hangs on its disk keeps
   * nobody waiting; it is told again until it has taken it.
   */
  async #protect(): Promise<void> {
    const { wanted } = this.#protection;
    if (wanted <= this.#protection.told) return;
    const holds = await this.#o.store.holds.active();
    const leases = this.#leases;
    await this.#o.protect([
      ...holds.map(({ id, camera, fromMs, toMs }) => ({ id, kind: 'hold' as const, camera, fromMs, toMs })),
      ...leases,
    ]);
    this.#protection.told = Math.max(this.#protection.told, wanted);
  }

  async #readQueue(): Promise<void> {
    const { clips, bytes } = await this.#o.store.clips.queue();
    const outbox = (await this.#o.store.outbox.stats()).rows;
    this.#queue = { clips, bytes, outbox };
  }

  async #policyChanged(): Promise<void> {
    await this.#parts?.center?.reportPolicy();
    await this.#parts?.clips.retryWithheld(LIFTABLE);
  }

  #policyReport(): Omit<PolicyReported, 'schema' | 'ts'> {
    const { terms, enrolment } = this.#o.gate;
    const until = this.#o.gate.pausedUntil();
    return {
      hash: terms.sha256,
      document: terms.document,
      signed: terms.signed,
      enrolment,
      paused: until !== null,
      pausedUntil: until === null || until === Infinity ? null : toUtc(until),
    };
  }

  async #ledger(): Promise<void> {
    await this.#parts?.uplinks.settle();
  }

  async #close(reason: 'shutdown' | 'update' | 'power'): Promise<void> {
    const parts = this.#parts;
    if (parts === undefined) return;
    await parts.clips.stop();
    await parts.center?.stop(reason);
    await this.#ledger();
    parts.uplinks.close();
    this.#parts = undefined;
  }

  #running(): Parts {
    if (this.#parts === undefined) throw new BluelightError('STARTING', 'the agent is starting', { retryable: true });
    return this.#parts;
  }

  #kept(work: Promise<void>): void {
    work.catch((error: unknown) => this.#o.log.error({}, errorMessage(error)));
  }
}

function pick({ codec, width, height }: Camera['main']): { codec: string; width: number; height: number } {
  return { codec, width, height };
}

function metered(uplinks: Uplinks): boolean {
  const cost = uplinks.current()?.cost;
  return cost !== undefined && cost !== 'flat';
}
