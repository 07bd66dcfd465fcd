import type { Clock } from './base/clock.js';
import { BluelightError } from './base/errors.js';
import type { Remote } from './base/rpc.js';
import { ClipJobs } from './clip-jobs.js';
import { streamId } from './contract/primitives.js';
import type { Outside } from './outside.js';
import type { Handlers } from './policy/command-desk.js';
import type { Footage } from './ring/footage.js';
import type { Settings } from './settings/table.js';
import type { Store } from './store/client.js';
import type { RingApi } from './threads.js';

export interface HandlerOptions {
  clock: Clock;
  settings: Settings;
  store: Store;
  outside: Outside;
  footage: Footage;
  ring: Pick<Remote<RingApi>, 'coverage'>;
  scan: () => Promise<void>;
}

/** Answers travel in one MQTT message, over cellular links too. */
const MOST_ANSWER_BYTES = 48 * 1024;
/** Of the disk, that holds of the center may keep from being overwritten. */
const HOLD_SHARE = 0.25;
const MOST_HOLDS = 200;
const ROLES = ['main', 'sub'] as const;

/**
 * What this box carries out of the closed list of commands. What is not here is refused as UNSUPPORTED. A command that
 * shows footage is given its grants; there is no other way to them.
 */
export function commandHandlers(o: HandlerOptions): { handlers: Handlers; clipJobs: ClipJobs } {
  const clipJobs = new ClipJobs({ clock: o.clock, store: o.store, clips: () => o.outside.clips });
  const handlers: Handlers = {
    'clip.request': (call) => clipJobs.run(call),
    async 'coverage.get'({ args, grants, refused }) {
      const range = { fromMs: Date.parse(args.from), toMs: Date.parse(args.to) };
      const streams = await Promise.all(
        grants.flatMap((grant) => ROLES.map((role) => o.footage.coverage(grant, role, range))),
      );
      return small({ streams, refused, clockOffsetMs: o.outside.reading().clock?.offsetMs ?? null });
    },
    async 'hold.set'({ job, args, grants, refused, party }) {
      const range = { fromMs: Date.parse(args.from), toMs: Date.parse(args.to) };
      await makeSureItFits(
        o,
        job.id,
        grants.map((grant) => grant.camera),
        range,
      );
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

/** @throws BluelightError HOLD_LIMIT: held footage would crowd out what is recorded now */
async function makeSureItFits(
  o: HandlerOptions,
  job: string,
  cameras: string[],
  range: { fromMs: number; toMs: number },
): Promise<void> {
  const others = (await o.store.holds.active()).filter((hold) => hold.job !== null && hold.job !== job);
  const wanted = [...others, ...cameras.map((camera) => ({ camera, ...range }))];
  const answers = await Promise.all(
    wanted.flatMap(({ camera, fromMs, toMs }) =>
      ROLES.map((role) => o.ring.coverage({ stream: streamId(camera, role), fromMs, toMs })),
    ),
  );
  const bytes = answers.reduce((sum, answer) => sum + answer.bytes, 0);
  if (wanted.length <= MOST_HOLDS && bytes <= HOLD_SHARE * o.settings['recording.quota']) return;
  throw new BluelightError('HOLD_LIMIT', `holds of the center may keep ${HOLD_SHARE * 100} % of the recordings`, {
    fix: 'release a hold, or ask for the clip itself',
  });
}

function small<T>(answer: T): T {
  if (Buffer.byteLength(JSON.stringify(answer)) <= MOST_ANSWER_BYTES) return answer;
  throw new BluelightError('TOO_LARGE', 'the answer is too long for one message', {
    fix: 'ask for a shorter range or for fewer cameras',
  });
}
