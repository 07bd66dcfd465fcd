import type { Clock } from './base/clock.js';
import { BluelightError } from './base/errors.js';
import { ClipJobs } from './clip-jobs.js';
import type { Holds } from './holds.js';
import type { Outside } from './outside.js';
import type { Handlers } from './policy/command-desk.js';
import type { Footage } from './ring/footage.js';
import type { Store } from './store/client.js';

export interface HandlerOptions {
  clock: Clock;
  store: Store;
  outside: Outside;
  footage: Footage;
  holds: Holds;
  scan: () => Promise<void>;
}

/** Answers travel in one MQTT message, over cellular links too. */
const MOST_ANSWER_BYTES = 48 * 1024;
const ROLES = ['main', 'sub'] as const;

/**
 * What this box carries out of the closed list of commands. What is not here is refused as UNSUPPORTED. A command that
 * shows footage is given its grants; there is no other way to them.
 */
export function commandHandlers(o: HandlerOptions): { handlers: Handlers; clipJobs: ClipJobs } {
  const clipJobs = new ClipJobs({ clock: o.clock, store: o.store, clips: () => o.outside.clips });
  const handlers: Handlers = {
    'clip.request': (call) => clipJobs.run(call),
    'still.request': (call) => clipJobs.still(call),
    async 'coverage.get'({ args, grants, refused }) {
      const range = { fromMs: Date.parse(args.from), toMs: Date.parse(args.to) };
      const streams = await Promise.all(
        grants.flatMap((grant) => ROLES.map((role) => o.footage.coverage(grant, role, range))),
      );
      return small({ streams, refused, clockOffsetMs: o.outside.reading().clock?.offsetMs ?? null });
    },
    async 'hold.set'({ job, args, grants, refused, party }) {
      const range = { fromMs: Date.parse(args.from), toMs: Date.parse(args.to) };
      const wanted = grants.map(({ camera }) => ({ camera, range }));
      await o.holds.fits(wanted, { center: true, job: job.id });
      const holds = grants.map(({ camera }) => ({
        id: `${job.id}:${camera}`,
        camera,
        ...range,
        reason: job.reason,
        by: `${party.operator}, ${party.agency}`,
        job: job.id,
        createdMs: o.clock.now(),
        expiresMs: args.until === null ? null : Date.parse(args.until),
      }));
      for (const hold of holds) await o.store.holds.set(hold);
      await o.outside.holdsChanged();
      return { holds: holds.map(({ id, camera }) => ({ id, camera })), refused };
    },
    async 'hold.release'({ args, party }) {
      const setBy = await o.store.jobs.get(args.job);
      const held = (await o.store.holds.active()).filter((hold) => hold.job === args.job);
      if (held.length === 0 || setBy?.agency !== party.agency) {
        throw new BluelightError('JOB_UNKNOWN', `there is no hold of the job ${args.job}`, {
          fix: 'name the job that set the hold',
        });
      }
      for (const { id } of held) await o.store.holds.release({ id, atMs: o.clock.now() });
      await o.outside.holdsChanged();
      return { released: held.map(({ id }) => id) };
    },
    async 'camera.rescan'() {
      await o.scan();
      return { started: true };
    },
    async rebirth() {
      await o.outside.rebirth();
      return {};
    },
  };
  return { handlers, clipJobs };
}

function small<T>(answer: T): T {
  if (Buffer.byteLength(JSON.stringify(answer)) <= MOST_ANSWER_BYTES) return answer;
  throw new BluelightError('TOO_LARGE', 'the answer is too long for one message', {
    fix: 'ask for a shorter range or for fewer cameras',
  });
}
