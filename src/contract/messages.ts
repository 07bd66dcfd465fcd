import { z } from 'zod';
import { cameraId, publicKeyText, sha256Hex, slug, ulidText, utc } from './primitives.js';
import { alarm } from './alarm.js';
import { signedManifest } from './clip.js';
import { anchor, envelope } from './evidence.js';
import type { GrantKind } from './grant.js';
import { motionEvent } from './motion.js';
import { policyDocument } from './policy.js';

/** Retained; also the will, then with state `lost` and the session of the connection that made it. */
export const statusMessage = z.object({
  schema: z.literal(1),
  state: z.enum(['online', 'offline', 'lost', 'maintenance']),
  reason: z.string(),
  /** ULID of this connection: a stale will never overwrites a newer birth. */
  session: ulidText,
  ts: utc,
});

export type StatusMessage = z.infer<typeof statusMessage>;

export const infoMessage = z.object({
  schema: z.literal(1),
  session: ulidText,
  ts: utc,
  hw: z.string(),
  os: z.string(),
  agent: z.string(),
  capabilities: z.array(z.string()),
  keyId: publicKeyText,
  /** How this key followed on those before it, oldest first: JWS of contract/enrolment `rotation`. */
  rotations: z.array(z.string().max(4_000)).max(20).optional(),
  cameras: z.array(
    z.object({
      id: cameraId,
      name: z.string(),
      make: z.string(),
      model: z.string(),
      fw: z.string(),
      mac: z.string(),
      serial: z.string(),
      channel: z.string(),
      streams: z.array(z.object({ role: z.string(), codec: z.string(), width: z.number(), height: z.number() })),
    }),
  ),
});

export type InfoMessage = z.infer<typeof infoMessage>;

/** Compact and absolute; never queued. `age`: seconds since the last committed byte. Percentages 0..100. */
export const heartbeatMessage = z.object({
  schema: z.literal(1),
  seq: z.number().int(),
  /** The center signs it back: proof that the center itself, and not only its broker, was reached. */
  nonce: z.string(),
  ts: utc,
  uptime: z.number().int(),
  cpu: z.number(),
  mem: z.number(),
  temp: z.number().nullable(),
  disk: z.object({
    used: z.number(),
    bytes: z.number(),
    quota: z.number(),
    days: z.number().nullable(),
    state: z.string(),
  }),
  clock: z.object({ src: z.string(), offset: z.number().nullable() }),
  queue: z.object({ clips: z.number().int(), bytes: z.number(), outbox: z.number().int() }),
  policy: z.string(),
  /** Kinds of the alarms of the box itself that hold; absent: none. */
  alarms: z.array(z.string()).optional(),
  cams: z.array(
    z.object({
      id: cameraId,
      state: z.string(),
      fps: z.number(),
      age: z.number().nullable(),
      /** Seconds not recorded in the last 24 h of this box's run. */
      gap: z.number(),
      oldest: utc.nullable(),
      /** Forecast: days of its footage that the ring will hold. */
      days: z.number().nullable().default(null),
      /** camera minus box, ms */
      clock: z.number().nullable(),
      /** Kinds of the alarms that hold, without `camera.`; absent: none. */
      alarms: z.array(z.string()).optional(),
    }),
  ),
});
export type Heartbeat = z.infer<typeof heartbeatMessage>;

/** CloudEvents 1.0, structured JSON. `id` is the idempotency key; `sequence` runs without holes per `stream`. */
export const eventEnvelope = z.object({
  specversion: z.literal('1.0'),
  id: ulidText,
  source: z.string(),
  type: z.string(),
  time: utc,
  datacontenttype: z.literal('application/json'),
  schema: z.literal(1),
  /** Outbox stream, for the acknowledgement. */
  stream: z.string(),
  sequence: z.number().int(),
  /**
   * The box holds nothing of this stream between `after` and `sequence`: what lay there is acknowledged. A center
   * that lost its memory goes on from here. Absent: `sequence - 1`.
   */
  after: z.number().int().nonnegative().optional(),
  data: z.unknown(),
});
export type EventEnvelope = z.infer<typeof eventEnvelope>;

export const clipEventData = z.object({
  clip: ulidText,
  camera: cameraId,
  from: utc,
  to: utc,
  state: z.enum(['queued', 'delivered', 'failed', 'withheld']),
  bytes: z.number().int().nullable(),
  sha256: sha256Hex.nullable(),
  detail: z.string(),
});

/** The box's signed statement of the heads of all its chains; the center keeps it and checks that they follow. */
export const checkpointEventData = z.object({ checkpoint: envelope });

/** A checkpoint vouches for a clip that was delivered without one. */
export const anchorEventData = z.object({ clip: ulidText, anchor });

/** Which `data` belongs to which event `type`. */
export const eventData = {
  'bluelight.motion.start': motionEvent,
  'bluelight.motion.update': motionEvent,
  'bluelight.motion.end': motionEvent,
  'bluelight.clip': clipEventData,
  'bluelight.alarm.raised': alarm,
  'bluelight.alarm.cleared': alarm,
  'bluelight.checkpoint': checkpointEventData,
  'bluelight.anchor': anchorEventData,
} as const;
export type EventType = keyof typeof eventData;

/**
 * As what an event is asked of the gate; null: it tells how the box and its cameras fare, and nothing of what they see.
 * A new event does not compile without its entry.
 */
export const EVENT_ACCESS: Record<EventType, GrantKind | null> = {
  'bluelight.motion.start': 'motion',
  'bluelight.motion.update': 'motion',
  'bluelight.motion.end': 'motion',
  'bluelight.clip': 'motion',
  'bluelight.anchor': 'motion',
  'bluelight.alarm.raised': null,
  'bluelight.alarm.cleared': null,
  'bluelight.checkpoint': null,
};

/**
 * From the center, signed with its key (JWS compact, EdDSA). Empties the outbox up to each stream's `sequence`
 * and answers the newest heartbeat. Only this counts as "center reached".
 */
export const ackMessage = z.object({
  schema: z.literal(1),
  box: slug,
  ts: utc,
  streams: z.record(z.string(), z.number().int()),
  heartbeat: z.string().nullable(),
});
export type Ack = z.infer<typeof ackMessage>;

/** Given to the technician as a file: `bluelight claim --file`. */
export const claimFile = z.object({
  schema: z.literal(1),
  site: slug,
  box: slug,
  /** After this it is refused; absent: good until used. */
  expiresAt: utc.optional(),
  /** One time: the box shows it to the center at its first contact. Comes with `enrol`. */
  secret: z.string().min(16).max(200).optional(),
  /** Where the secret is shown, see contract/enrolment; the claim is pending until then. */
  enrol: z.url({ protocol: /^https?$/ }).optional(),
  /** At a site of the city: the key that signs the terms. Absent: the owner of the site signs them, on the box. */
  authority: z.strictObject({ kind: z.literal('city'), key: publicKeyText }).optional(),
  center: z.object({
    id: slug,
    /** `mqtt://` or `mqtts://` */
    broker: z.url(),
    upload: z.url(),
    key: publicKeyText,
    username: z.string().optional(),
    password: z.string().optional(),
    /** PEM of the authority that signed the center's TLS certificates; the system's list when absent. */
    ca: z.string().optional(),
  }),
});
export type ClaimFile = z.infer<typeof claimFile>;

/**
 * Retained: the terms in force and the switches that the owner has beside them. `signed` is the document as its
 * authority signed it; null where it came as a file of the box.
 */
export const policyReportedMessage = z.object({
  schema: z.literal(1),
  ts: utc,
  /** SHA-256 of the terms' text, as in heartbeats; null: none are in force, nothing is shared. */
  hash: sha256Hex.nullable(),
  document: policyDocument.nullable(),
  signed: signedManifest.nullable(),
  enrolment: z.enum(['none', 'pending', 'active', 'ended']),
  /** The owner shares nothing now: this is his will and no fault. */
  paused: z.boolean(),
  /** Null while paused: until he resumes. */
  pausedUntil: utc.nullable(),
});
export type PolicyReported = z.infer<typeof policyReportedMessage>;

/** `typ` of the JWS in which the center proposes terms. */
export const PROPOSAL_TYPE = 'bluelight-proposal+jws';

/**
 * `policy/proposed`, retained, signed by the center. At a store it is put before the owner; what the city signed for a
 * site of its own (`signed`) counts at once. `version` only rises.
 */
export const policyProposal = z.strictObject({
  schema: z.literal(1),
  site: slug,
  box: slug,
  version: z.number().int().positive(),
  note: z.string().max(500).default(''),
  document: policyDocument.optional(),
  signed: signedManifest.optional(),
});
export type PolicyProposal = z.infer<typeof policyProposal>;

/** Retained by the center, also as its will: is anyone reading? A broker alone is not the center. */
export const centerStatusMessage = z.object({ schema: z.literal(1), online: z.boolean(), ts: utc });

export function centerStatusTopic(center: string): string {
  return `bluelight/v1/center/${center}/status`;
}

/** Topics of one box below its prefix (`bluelight/v1/{site}/{box}`). */
export function topics(site: string, box: string) {
  const root = `bluelight/v1/${site}/${box}`;
  return {
    root,
    status: `${root}/status`,
    info: `${root}/info`,
    heartbeat: `${root}/heartbeat`,
    event: (kind: string): string => `${root}/event/${kind}`,
    ack: `${root}/ack`,
    command: (name: string): string => `${root}/cmd/${name}`,
    job: (id: string): string => `${root}/job/${id}`,
    operators: `${root}/operators`,
    policyReported: `${root}/policy/reported`,
    policyProposed: `${root}/policy/proposed`,
    enrolment: `${root}/enrolment`,
  };
}
