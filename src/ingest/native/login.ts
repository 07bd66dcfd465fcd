import { authorization, chooseTerms, CLEAR_ONLY, isStale, parseChallenges, type Terms } from '../../media/rtsp-auth.js';
import type { RtspResponse } from '../../media/rtsp.js';
import { failure, failureOfStatus } from './failure.js';

/** A server that always wants another nonce would keep us logging in for ever. */
const MAX_FRESH_NONCES = 3;

export interface LoginOptions {
  username: string;
  password: string;
  allowBasic: boolean;
  /** Random hexadecimal digits. */
  cnonce: () => string;
}

/** The login of one session: answers challenges, and stops at the first refusal, because cameras lock accounts. */
export class Login {
  readonly #options: LoginOptions;
  #terms: Terms | undefined;
  #cnonce = '';
  #count = 0;
  #proven = false;
  #fresh = 0;

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  /** The `Authorization` of the next request; undefined while the camera has not asked for one. */
  header(method: string, uri: string): string | undefined {
    if (this.#terms === undefined) return undefined;
    this.#count++;
    const { username, password } = this.#options;
    return authorization(this.#terms, { username, password, method, uri, count: this.#count, cnonce: this.#cnonce });
  }

  /** A request with `header` was let through. */
  passed(): void {
    if (this.#terms === undefined) return;
    this.#proven = true;
    this.#fresh = 0;
  }

  /** Takes up the challenges of a 401, so that the request may be repeated once; throws if it must not be. */
  challenged(response: RtspResponse): void {
    const challenges = parseChallenges(response.headers.get('www-authenticate') ?? []);
    const { terms, clearOnly } = chooseTerms(challenges, this.#options.allowBasic);
    if (clearOnly) {
      throw failure('unfit', `${CLEAR_ONLY.message}; ${CLEAR_ONLY.fix}`);
    }
    if (this.#options.username === '') throw failure('refused', 'the camera wants a user name and password');
    if (terms === undefined) throw failure('unsupported', 'the camera wants a login of an unknown kind');
    if (this.#terms !== undefined && !this.#mayRepeat(terms, isStale(challenges))) throw failureOfStatus(401);
    this.#terms = terms;
    this.#count = 0;
    this.#cnonce = this.#options.cnonce();
  }

  /** The password is not wrong if only the nonce is old: the camera says so, or it took the same login before. */
  #mayRepeat(terms: Terms, stale: boolean): boolean {
    const another = terms.kind === 'digest' && this.#terms?.kind === 'digest' && terms.nonce !== this.#terms.nonce;
    this.#fresh++;
    return another && (stale || this.#proven) && this.#fresh <= MAX_FRESH_NONCES;
  }
}
