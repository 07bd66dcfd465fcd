import { createHash } from 'node:crypto';
import { BluelightError } from '../../base/errors.js';
import type { Clock } from '../../base/clock.js';
import {
  checkpoint as checkpointSchema,
  CHECKPOINT_TYPE,
  type Anchor,
  type Checkpoint,
  type Envelope,
} from '../../contract/evidence.js';
import { GENESIS } from '../../proof/chain.js';
import { parseCanonical } from '../../proof/canonical.js';
import { openEnvelope } from '../../proof/dsse.js';
import type { Finding } from '../../proof/findings.js';
import { checkAnchor } from '../../proof/verify-chain.js';
import type { CenterDb } from './db.js';

export interface ProofsOptions {
  clock: Clock;
  db: CenterDb;
  /** The key of a box and those before it. */
  keysOf: (site: string, box: string) => string[];
  /** An anchor came for a clip that is here. */
  onAnchor: (clip: string, anchor: Anchor) => void;
}

/**
 * The center's memory of what boxes signed. A box that says something else later than it said before, or leaves one
 * out, is found here: not even its key helps whoever rewrites its past.
 */
export class Proofs {
  readonly #o: ProofsOptions;

  constructor(options: ProofsOptions) {
    this.#o = options;
  }

  /**
   * Keeps a checkpoint, with what is wrong about it.
   * @throws BluelightError what openEnvelope throws; WRONG_BOX; anything of a document that is none
   */
  takeCheckpoint(site: string, box: string, envelope: Envelope): { problem: string | null } {
    const { db, clock } = this.#o;
    const payload = this.#open(site, box, envelope);
    const document = checkpointSchema.parse(parseCanonical(Buffer.from(payload).toString('utf8')));
    if (document.site !== site || document.box !== box) {
      throw new BluelightError(
        'WRONG_BOX',
        `a checkpoint of ${document.site}/${document.box} came from ${site}/${box}`,
      );
    }
    const sha256 = createHash('sha256').update(payload).digest('hex');
    return db.together(() => {
      const known = db.checkpoint(site, box, document.disk, document.n);
      if (known?.sha256 === sha256) return { problem: known.problem };
      const problem = known !== undefined ? TWO_STORIES : this.#follows(site, box, document);
      const { n, disk } = document;
      db.addCheckpoint(site, box, disk, { n, sha256, envelope, receivedAt: clock.now(), problem });
      return { problem };
    });
  }

  /** Keeps what vouches for a clip that is here. @throws BluelightError UNKNOWN_CLIP | BAD_ANCHOR */
  takeAnchor(site: string, box: string, clipId: string, anchor: Anchor): void {
    const { db, onAnchor } = this.#o;
    const clip = db.clip(clipId);
    if (clip?.site !== site || clip.box !== box) throw new BluelightError('UNKNOWN_CLIP', `there is no clip ${clipId}`);
    const trusted = this.#o.keysOf(site, box);
    const findings: Finding[] = [];
    checkAnchor(clip.manifest, { trusted, anchor }, findings);
    const [first] = findings;
    if (first !== undefined) throw new BluelightError('BAD_ANCHOR', `${first.code}: ${first.message}`);
    db.saveAnchor(clipId, anchor);
    onAnchor(clipId, anchor);
  }

  #open(site: string, box: string, envelope: Envelope): Uint8Array {
    return openEnvelope(envelope, { payloadType: CHECKPOINT_TYPE, trusted: this.#o.keysOf(site, box) }).payload;
  }

  /** What is wrong with its place behind the newest that is known of the same disk; null: nothing. */
  #follows(site: string, box: string, next: Checkpoint): string | null {
    const before = this.#o.db.checkpoint(site, box, next.disk, null);
    if (before === undefined) return next.n === 1 && next.prev !== GENESIS ? 'the first one names one before it' : null;
    if (next.n < before.n) return `it came after number ${before.n}`;
    if (next.n > before.n + 1) return `numbers ${before.n + 1} to ${next.n - 1} are missing`;
    if (next.prev !== before.sha256) return 'it does not follow the one before it: the past was rewritten';
    const known = JSON.parse(Buffer.from(before.envelope.payload, 'base64').toString('utf8')) as Checkpoint;
    for (const [stream, head] of Object.entries(known.heads)) {
      const now = next.heads[stream];
      if (now === undefined || now.seq < head.seq) return `the chain of ${stream} became shorter`;
      if (now.seq === head.seq && now.link !== head.link) return `the chain of ${stream} was rewritten`;
    }
    return null;
  }
}

const TWO_STORIES = 'another one with the same number came before: the box signed two stories';
