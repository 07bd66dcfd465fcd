import { randomBytes, randomInt } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { BluelightError, errorMessage } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import {
  certificateRequest,
  CERTIFICATE_REQUEST_TYPE,
  CERTIFICATE_TYPE,
  claimQr,
  enrolBody,
  enrolContext,
  ENROL_TYPE,
  ENROLLED_TYPE,
  enrolRequest,
  fullFingerprint,
  HELLO_TYPE,
  keyFingerprint,
  type CertificateAnswer,
  type EnrolAnswer,
} from '../../contract/enrolment.js';
import type { ClaimFile } from '../../contract/messages.js';
import { toUtc } from '../../contract/primitives.js';
import { openJws, signJws } from '../../proof/jws.js';
import { exchangeKeyText, openSealed } from '../../proof/sealed-box.js';
import type { Authority } from './authority.js';
import type { ClaimBook, EnrolmentTry } from './claim-book.js';
import type { CenterDb } from './db.js';
import type { CenterKeys } from './keys.js';

export interface EnrolmentOptions {
  clock: Clock;
  log: Log;
  id: string;
  keys: CenterKeys;
  book: ClaimBook;
  db: CenterDb;
  authority: Authority;
  /** Where boxes reach `answer`. */
  address: () => string;
  /** A claim file as a box of this name needs it, with its login for the broker. */
  claimOf(site: string, box: string): ClaimFile;
  changed(): void;
}

/** One claim in its three forms; whichever is used first uses up the others. */
export interface IssuedClaim {
  site: string;
  box: string;
  file: ClaimFile;
  /** Text of a QR code. */
  qr: string;
  /** Eight characters to be typed, with the address and a look at the fingerprint. */
  code: string;
  address: string;
  fingerprint: string;
  expiresAt: string;
}

const WEEK_MS = 7 * 86_400_000;
const GUESS_WINDOW_MS = 60_000;
/** 40 bits, and this many wrong ones in a minute: a guesser needs a hundred thousand years. */
const MOST_WRONG = 10;
/** Crockford base 32, as on the labels of boxes. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The center's side of contract/enrolment. */
export class Enrolment {
  readonly #o: EnrolmentOptions;

  constructor(options: EnrolmentOptions) {
    this.#o = options;
  }

  issue(site: string, box: string, lifeMs = WEEK_MS): IssuedClaim {
    const { keys, clock, book } = this.#o;
    const { password: _p, username: _u, ...center } = this.#o.claimOf(site, box).center;
    const now = clock.now();
    const address = this.#o.address();
    const expiresAt = toUtc(now + lifeMs);
    const secret = randomBytes(24).toString('base64url');
    const code = Array.from({ length: 8 }, () => ALPHABET[randomInt(ALPHABET.length)]!).join('');
    book.issue({ site, box, secret, code, atMs: now, expiresMs: now + lifeMs });
    const key = keys.signer.keyId;
    return {
      site,
      box,
      file: { schema: 1, site, box, expiresAt, secret, enrol: address, center },
      qr: claimQr({ address, fingerprint: fullFingerprint(key), secret, expiresAt }),
      code: `${code.slice(0, 4)}-${code.slice(4)}`,
      address,
      fingerprint: keyFingerprint(key),
      expiresAt,
    };
  }

  /** `GET`: who answers here. */
  hello(): string {
    const { keys, id, clock } = this.#o;
    const hello = { schema: 1, center: id, exchange: exchangeKeyText(keys.exchange), ts: toUtc(clock.now()) };
    return signJws(HELLO_TYPE, hello, keys.signer);
  }

  /**
   * `POST`: a box shows its secret.
   * @throws BluelightError RATE_LIMITED | BAD_ENROLMENT; a refusal of the secret is an answer
   */
  enrol(body: unknown): { answer: string; refused: boolean } {
    const { clock, book, keys, log } = this.#o;
    const now = clock.now();
    if (book.wrongSince(now - GUESS_WINDOW_MS) >= MOST_WRONG) {
      throw new BluelightError('RATE_LIMITED', 'too many wrong codes', { retryable: true });
    }
    const request = this.#read(body, ENROL_TYPE, (payload) => enrolRequest.parse(payload));
    const { text, reply } = this.#open(request.key, request.secret);
    const tried = book.use(text, request.key, now);
    log.info({ ...tried }, 'a box asked to enrol');
    const answer = this.#answer(tried, reply);
    this.#o.changed();
    return { answer: signJws(ENROLLED_TYPE, answer, keys.signer), refused: answer.outcome === 'refused' };
  }

  /** `POST certificate`. @throws BluelightError BAD_ENROLMENT | NOT_ENROLLED | BAD_CSR */
  async certificate(body: unknown): Promise<string> {
    const { clock, keys, authority, book, db } = this.#o;
    const request = this.#read(body, CERTIFICATE_REQUEST_TYPE, (payload) => certificateRequest.parse(payload));
    const { site, box, key } = request;
    if (db.box(site, box)?.key !== key || book.revocation(site, box) !== null) {
      throw new BluelightError('NOT_ENROLLED', `${site}/${box} is not enrolled with this key`);
    }
    const { certificate, ca } = await authority.sign(request.csr, clock.now());
    const answer: CertificateAnswer = { schema: 1, key, certificate, ca, ts: toUtc(clock.now()) };
    return signJws(CERTIFICATE_TYPE, answer, keys.signer);
  }

  /** Signed by the key that it names: proof that who asks holds it. */
  #read<T extends { key: string; center: string }>(body: unknown, type: string, parse: (payload: unknown) => T): T {
    try {
      const { request } = enrolBody.parse(body);
      const { kid } = JSON.parse(Buffer.from(request.split('.')[0]!, 'base64url').toString('utf8')) as { kid: string };
      const read = parse(openJws(request, { type, trusted: [kid] }).payload);
      if (read.key === kid && read.center === this.#o.id) return read;
    } catch (cause) {
      throw new BluelightError('BAD_ENROLMENT', `the request is no good: ${errorMessage(cause).slice(0, 200)}`, {
        cause,
      });
    }
    throw new BluelightError('BAD_ENROLMENT', 'the request is for another center, or of another key');
  }

  #open(key: string, secret: Parameters<typeof openSealed>[2]): ReturnType<typeof openSealed> {
    try {
      const opened = openSealed(this.#o.keys.exchange, enrolContext(key), secret);
      return { ...opened, text: opened.text.length === 9 ? opened.text.replace('-', '') : opened.text };
    } catch (cause) {
      throw new BluelightError('BAD_ENROLMENT', 'the secret is sealed to another center', { cause });
    }
  }

  #answer(tried: EnrolmentTry, reply: ReturnType<typeof openSealed>['reply']): EnrolAnswer {
    const base = { schema: 1, key: tried.key, ts: toUtc(this.#o.clock.now()) } as const;
    const { outcome, site, box } = tried;
    if (outcome !== 'enrolled' || site === null || box === null) {
      const code = outcome === 'enrolled' ? 'CLAIM_WRONG' : outcome;
      return { ...base, outcome: 'refused', code, message: WORDS[code] };
    }
    this.#o.db.saveBox(site, box, { key: tried.key, refusedKey: null });
    return { ...base, outcome: 'enrolled', claim: reply(JSON.stringify(this.#o.claimOf(site, box))) };
  }
}

const WORDS = {
  CLAIM_WRONG: 'nobody gave out this code',
  CLAIM_USED: 'this claim was used before',
  CLAIM_EXPIRED: 'this claim has run out',
};
