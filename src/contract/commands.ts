import { z } from 'zod';
import type { GrantKind } from './grant.js';
import { priority } from './clip.js';
import { cameraId, rendition, slug, ulidText, utc } from './primitives.js';

/** `typ` of the JWS in which a command arrives. */
export const COMMAND_TYPE = 'bluelight-command+jws';
/** `typ` of the JWS that names the operators of the center. */
export const OPERATORS_TYPE = 'bluelight-operators+jws';

const word = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/i, 'letters, digits, dots and dashes, at most 64');

/** A named person at the center, as the box knows him. */
export const operator = z.strictObject({
  operator: word,
  agency: word,
  name: z.string().min(1).max(80),
  role: word,
});

/** Retained, signed by the center. Whom it does not name may command nothing. `version` only rises. */
export const operatorsMessage = z.strictObject({
  schema: z.literal(1),
  site: slug,
  box: slug,
  version: z.number().int().positive(),
  operators: z.array(operator).max(2_000),
});
export type OperatorsMessage = z.infer<typeof operatorsMessage>;

const range = z.strictObject({ from: utc, to: utc });
const cameras = z.array(cameraId).min(1).max(64);
const nothing = z.strictObject({});

/** What a command may carry, and as what it is asked of the gate; null: it shows no footage and no trace of it. */
interface CommandShape {
  args: z.ZodType;
  access: GrantKind | null;
}

export const COMMANDS = {
  'coverage.get': { args: range.extend({ cameras }), access: 'timeline' },
  'clip.request': { args: range.extend({ cameras, renditions: z.array(rendition).min(1).max(3) }), access: 'clip' },
  'clip.cancel': { args: z.strictObject({ job: ulidText }), access: null },
  'still.request': { args: z.strictObject({ camera: cameraId, at: utc }), access: 'still' },
  'live.start': {
    args: z.strictObject({ camera: cameraId, target: z.url(), stream: z.enum(['main', 'sub']) }),
    access: 'live',
  },
  'live.renew': { args: z.strictObject({ camera: cameraId, job: ulidText }), access: 'live' },
  'live.stop': { args: z.strictObject({ job: ulidText }), access: null },
  'sighting.query': { args: range.extend({ cameras }), access: 'sighting' },
  'sighting.watch': { args: z.strictObject({ cameras, until: utc }), access: 'sighting' },
  'sighting.unwatch': { args: z.strictObject({ job: ulidText }), access: null },
  // A hold tells that there is footage and keeps it: it is asked for like the timeline.
  'hold.set': { args: range.extend({ cameras, until: utc.nullable() }), access: 'timeline' },
  'hold.release': { args: z.strictObject({ job: ulidText }), access: null },
  'camera.reboot': { args: z.strictObject({ camera: cameraId }), access: null },
  'camera.rescan': { args: nothing, access: null },
  'diag.run': { args: nothing, access: null },
  'diag.bundle': { args: nothing, access: null },
  'light.test': { args: nothing, access: null },
  'agent.update': { args: z.strictObject({ version: word }), access: null },
  'agent.restart': { args: nothing, access: null },
  rebirth: { args: nothing, access: null },
  'key.rotate': { args: z.strictObject({ statement: z.string().max(4_000) }), access: null },
  'maintenance.start': { args: z.strictObject({ until: utc }), access: null },
  'maintenance.end': { args: nothing, access: null },
} as const satisfies Record<string, CommandShape>;
export type CommandName = keyof typeof COMMANDS;
export type CommandArgs<N extends CommandName> = z.output<(typeof COMMANDS)[N]['args']>;
/** Commands that need the gate. */
export type FootageCommand = {
  [N in CommandName]: (typeof COMMANDS)[N]['access'] extends null ? never : N;
}[CommandName];

/** What the center signs. `args` are checked against the command's own shape afterwards. */
export const command = z.strictObject({
  schema: z.literal(1),
  site: slug,
  box: slug,
  /** The idempotency key: the same id gets the same answer. */
  jobId: ulidText,
  name: z.string().max(40),
  args: z.unknown(),
  by: z.strictObject({ agency: word, operator: word, role: word }),
  /** In words, for the owner to read. */
  reason: z.string().trim().min(3).max(500),
  /** Opaque case number. */
  case: word.optional(),
  /** The owner is told of this look so much later; refused beyond what his terms allow. */
  notifyDelaySeconds: z.number().int().nonnegative().optional(),
  priority: priority.default('routine'),
  issuedAt: utc,
  expiresAt: utc,
});
export type Command = z.infer<typeof command>;

/** `job/{jobId}`: how it goes on. */
export const jobMessage = z.object({
  schema: z.literal(1),
  jobId: ulidText,
  name: z.string(),
  state: z.enum(['QUEUED', 'IN_PROGRESS', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'REJECTED', 'CANCELED']),
  progress: z.unknown(),
  result: z.unknown(),
  error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }).nullable(),
  ts: utc,
});
export type JobMessage = z.infer<typeof jobMessage>;
