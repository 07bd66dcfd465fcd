import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { ClaimFile } from '../contract/messages.js';
import { planUpload, type QueuedUpload, type UploadPlan } from './plan.js';
import type { DialTarget, LinkConfig, LinkStatus, UploadJob, UploadOutcome } from './ports.js';
import { httpAgent, LinkSockets, type ByteCount } from './sockets.js';
import { uploadClip } from './upload.js';

export type { DialTarget, LinkConfig, LinkStatus, UploadJob, UploadOutcome } from './ports.js';
export type { ByteCount } from './sockets.js';
export { planUpload, uploadOrder, type QueuedUpload, type UploadPlan } from './plan.js';

export interface UplinksOptions {
  clock: Clock;
  log: Log;
  /** In order of preference; at least one. */
  links: LinkConfig[];
  /** Where clips go; null: no center is claimed, nothing can be sent. */
  center: Pick<ClaimFile['center'], 'upload' | 'key' | 'ca'> | null;
  chunkBytes?: number;
  stallMs?: number;
}

export interface Uplinks {
  /** Opens a socket to the outside over the best link; the MQTT session of the center room uses it. */
  dial(target: DialTarget): Duplex;
  plan(queue: readonly QueuedUpload[]): UploadPlan;
  upload(job: UploadJob, link: string): Promise<UploadOutcome>;
  /** Bytes since the last call, for the ledger. */
  takeCounts(): ByteCount[];
  status(): LinkStatus[];
  close(): void;
}

/** Every way out of the box. Nothing else opens an outside socket towards the center. */
export function createUplinks(options: UplinksOptions): Uplinks {
  const { clock, log, center } = options;
  if (options.links.length === 0) {
    throw new BluelightError('NO_UPLINK', 'no uplink is configured', { fix: 'name at least one' });
  }
  const links = new Map(options.links.map((link) => [link.id, new LinkSockets(link)]));
  const first = links.get(options.links[0]!.id)!;
  const secure = center !== null && center.upload.startsWith('https:');
  const agents = new Map([...links].map(([id, sockets]) => [id, httpAgent(sockets, secure, center?.ca)]));
  return {
    dial: (target) => first.dial(target),
    plan(queue) {
      if (center === null) return { do: 'wait', untilMs: null, why: 'the box is not claimed by a center' };
      const states = options.links.map((link) => ({ id: link.id, kind: link.kind, usable: true }));
      return planUpload(queue, states, {}, clock.now());
    },
    async upload(job, link) {
      const agent = agents.get(link);
      if (center === null || agent === undefined) {
        throw new BluelightError('NO_UPLINK', `there is no way to the center over "${link}"`);
      }
      const outcome = await uploadClip(
        {
          clock,
          agent,
          base: center.upload,
          centerKey: center.key,
          chunkBytes: options.chunkBytes ?? 1024 * 1024,
          stallMs: options.stallMs ?? 30_000,
        },
        job,
      );
      if (outcome.state === 'failed') log.warn({ clip: job.clip, link, code: outcome.code }, outcome.message);
      return outcome;
    },
    takeCounts: () => [...links.values()].flatMap((sockets) => sockets.takeCounts()),
    status: () => [...links.values()].map((sockets) => sockets.status()),
    close() {
      for (const agent of agents.values()) agent.destroy();
      for (const sockets of links.values()) sockets.close();
    },
  };
}
