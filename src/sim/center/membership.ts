import type { Clock } from '../../base/clock.js';
import { BluelightError } from '../../base/errors.js';
import { ulid } from '../../base/ids.js';
import {
  REVOCATION_TYPE,
  rotation,
  ROTATION_TYPE,
  type EnrolmentMessage,
  type Revocation,
} from '../../contract/enrolment.js';
import type { InfoMessage } from '../../contract/messages.js';
import { toUtc } from '../../contract/primitives.js';
import { openJws, signJws } from '../../proof/jws.js';
import type { ClaimBook } from './claim-book.js';
import type { CenterDb } from './db.js';
import type { CenterKeys } from './keys.js';

export interface MembershipOptions {
  clock: Clock;
  keys: CenterKeys;
  book: ClaimBook;
  db: CenterDb;
  /** Sends `message` to the box. */
  tell(site: string, box: string): void;
}

/** Which boxes the center has, by which keys, and how it lets one go. */
export class Membership {
  readonly #o: MembershipOptions;

  constructor(options: MembershipOptions) {
    this.#o = options;
  }

  claimed(): { site: string; box: string }[] {
    return this.#o.book.claimed();
  }

  /** @throws BluelightError NOT_ENROLLED | REVOKED: what such a box says is not taken in */
  admit(site: string, box: string): void {
    const { book, db } = this.#o;
    const name = `${site}/${box}`;
    if (book.revocation(site, box) !== null) throw new BluelightError('REVOKED', `${name} was let go`);
    if (book.isIssued(site, box) && (db.box(site, box)?.key ?? null) === null) {
      throw new BluelightError('NOT_ENROLLED', `${name} has not shown the secret of its claim`);
    }
  }

  /** A birth. The key of a box changes only by the word of its old one. @throws BluelightError KEY_CHANGED */
  heard(site: string, box: string, info: InfoMessage): void {
    const { db, book, clock } = this.#o;
    const known = db.box(site, box)?.key ?? null;
    if (known !== null && known !== info.keyId && !follows(info, { site, box, from: known })) {
      db.saveBox(site, box, { refusedKey: info.keyId });
      throw new BluelightError('KEY_CHANGED', `${site}/${box} came with another key: ${info.keyId}`);
    }
    book.all(() => {
      book.done(site, box, known ?? info.keyId, clock.now());
      book.setKey(site, box, info.keyId, clock.now());
    });
    db.saveBox(site, box, { key: info.keyId, refusedKey: null });
  }

  /** @throws BluelightError UNKNOWN_BOX */
  revoke(site: string, box: string, reason: string): void {
    const { book, clock, keys } = this.#o;
    if (book.keys(site, box).length === 0) throw new BluelightError('UNKNOWN_BOX', `there is no box ${site}/${box}`);
    const at = clock.now();
    const said: Revocation = { schema: 1, id: ulid(at), site, box, reason, at: toUtc(at) };
    book.revoke(site, box, signJws(REVOCATION_TYPE, said, keys.signer));
    this.#o.tell(site, box);
  }

  /** Gives the new key. */
  rotateKey(): string {
    const { keys, book, clock } = this.#o;
    const boxes = this.claimed();
    keys.rotate((old, to) =>
      book.all(() => {
        for (const place of boxes) {
          const said = { schema: 1, role: 'center', ...place, from: old.keyId, to, at: toUtc(clock.now()) };
          book.addRotation(place.site, place.box, signJws(ROTATION_TYPE, said, old));
        }
      }),
    );
    for (const { site, box } of boxes) this.#o.tell(site, box);
    return keys.signer.keyId;
  }

  message(site: string, box: string): EnrolmentMessage {
    const { book } = this.#o;
    return { schema: 1, rotations: book.rotations(site, box), revocation: book.revocation(site, box) };
  }
}

/** Whether an unbroken chain of statements, each signed by the key before, leads to the key of this birth. */
function follows(info: InfoMessage, place: { site: string; box: string; from: string }): boolean {
  let key = place.from;
  for (const statement of info.rotations ?? []) {
    let said;
    try {
      said = rotation.safeParse(openJws(statement, { type: ROTATION_TYPE, trusted: [key] }).payload);
    } catch (error) {
      // Of an older change, or a forgery: either way it does not lead on from here.
      if (error instanceof BluelightError) continue;
      throw error;
    }
    const { success, data } = said;
    if (success && data.role === 'box' && data.from === key && data.site === place.site && data.box === place.box) {
      key = data.to;
    }
  }
  return key === info.keyId;
}
