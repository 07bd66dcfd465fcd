import type { z } from 'zod';
import { withDeadline, type Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import {
  CERTIFICATE_REQUEST_TYPE,
  CERTIFICATE_TYPE,
  certificateAnswer,
  enrolAnswer,
  ENROL_TYPE,
  enrolContext,
  ENROLLED_TYPE,
  enrolHello,
  enrolReply,
  fullFingerprint,
  groups,
  HELLO_TYPE,
  keyFingerprint,
  type ClaimTicket,
} from '../contract/enrolment.js';
import { toUtc } from '../contract/primitives.js';
import { openJws, signJws } from '../proof/jws.js';
import type { Signer } from '../proof/keys.js';
import { sealTo } from '../proof/sealed-box.js';
import { unreachable, type EnrolHttp } from './enrol-http.js';

/** How long a center may take for one answer. */
const ANSWER_MS = 10_000;

/** What answers at an enrolment address, by its own word. */
export interface FoundCenter {
  id: string;
  /** Raw Ed25519, base64url. */
  key: string;
  /** To seal to. */
  exchange: string;
}

/** The box's side of contract/enrolment. */
export class EnrolClient {
  readonly #http: EnrolHttp;
  readonly #clock: Clock;

  constructor(http: EnrolHttp, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
  }

  /**
   * Which center answers there. Its word only: a person, or what he scanned, says whether it is the right one.
   * @throws BluelightError CENTER_UNREACHABLE
   */
  async look(address: string): Promise<FoundCenter> {
    const { status, body } = await this.#ask('GET', address);
    const url = new URL(address);
    if (status !== 200) throw unreachable(url, `status ${status}`);
    try {
      const hello = body.trim();
      const { kid } = JSON.parse(Buffer.from(hello.split('.')[0] ?? '', 'base64url').toString('utf8')) as {
        kid: string;
      };
      const { payload } = openJws(hello, { type: HELLO_TYPE, trusted: [kid] });
      const { center, exchange } = enrolHello.parse(payload);
      return { id: center, key: kid, exchange };
    } catch (cause) {
      throw unreachable(url, 'what answers there is no center', cause);
    }
  }

  /**
   * Shows the secret to the center and takes its answer: the claim, as the center wrote it.
   * @throws BluelightError CENTER_UNREACHABLE (retryable) | CENTER_FOREIGN: another center answers | CLAIM_WRONG |
   *   CLAIM_USED | CLAIM_EXPIRED in the center's signed words
   */
  async enrol(ticket: ClaimTicket, signer: Signer): Promise<unknown> {
    const center = await this.look(ticket.address);
    if (!fullFingerprint(center.key).startsWith(ticket.fingerprint)) throw foreign(center.key, ticket.fingerprint);
    const { sealed, openReply } = sealTo(center.exchange, enrolContext(signer.keyId), ticket.secret);
    const ts = toUtc(this.#clock.now());
    const request = { schema: 1, center: center.id, key: signer.keyId, secret: sealed, ts };
    const answer = await this.question(ticket.address, signJws(ENROL_TYPE, request, signer), {
      type: ENROLLED_TYPE,
      centerKey: center.key,
      schema: enrolAnswer,
    });
    if (answer.key !== signer.keyId) throw unreachable(new URL(ticket.address), 'its answer is for another box');
    if (answer.outcome === 'refused') throw refused(answer);
    return JSON.parse(openReply(answer.claim));
  }

  /**
   * Asks the center for the certificate of the local page.
   * @param ask.csr PKCS #10 over the key of the page
   * @throws BluelightError CENTER_UNREACHABLE
   */
  async certificate(
    address: string,
    ask: { center: string; centerKey: string; site: string; box: string; csr: string },
    signer: Signer,
  ): Promise<{ certificate: string; ca: string }> {
    const { center, site, box, csr } = ask;
    const request = { schema: 1, center, site, box, key: signer.keyId, csr, ts: toUtc(this.#clock.now()) };
    const url = `${address.replace(/\/$/, '')}/certificate`;
    const answer = await this.question(url, signJws(CERTIFICATE_REQUEST_TYPE, request, signer), {
      type: CERTIFICATE_TYPE,
      centerKey: ask.centerKey,
      schema: certificateAnswer,
    });
    if (answer.key !== signer.keyId) throw unreachable(new URL(url), 'its answer is for another box');
    return { certificate: answer.certificate, ca: answer.ca };
  }

  /** A signed question and the center's signed answer. @throws BluelightError CENTER_UNREACHABLE */
  async question<S extends z.ZodType>(
    address: string,
    request: string,
    expect: { type: string; centerKey: string; schema: S },
  ): Promise<z.output<S>> {
    const { status, body } = await this.#ask('POST', address, { request });
    try {
      const { answer } = enrolReply.parse(JSON.parse(body));
      const { payload } = openJws(answer, { type: expect.type, trusted: [expect.centerKey] });
      return expect.schema.parse(payload);
    } catch (cause) {
      // Unsigned, it is nobody's word: a proxy, an overload, an impostor.
      throw unreachable(new URL(address), `status ${status}, no signed answer`, cause);
    }
  }

  async #ask(method: 'GET' | 'POST', url: string, json?: unknown): Promise<{ status: number; body: string }> {
    const stop = new AbortController();
    const late = (): Error => unreachable(new URL(url), `no answer within ${ANSWER_MS / 1000} s`);
    try {
      return await withDeadline(this.#clock, ANSWER_MS, this.#http({ method, url, json, signal: stop.signal }), late);
    } finally {
      stop.abort();
    }
  }
}

function foreign(key: string, wanted: string): BluelightError {
  const found = keyFingerprint(key);
  return new BluelightError('CENTER_FOREIGN', `another center answers there: ${found} instead of ${groups(wanted)}`, {
    fix: 'check the address; if it is right, tell the center before you go on: somebody may stand in between',
  });
}

const REFUSAL_FIX = {
  CLAIM_WRONG: 'type the code again as the center gave it',
  CLAIM_USED: 'ask the center for a new claim; if nobody else of you used this one, say so: somebody did',
  CLAIM_EXPIRED: 'ask the center for a new claim',
};

function refused({ code, message }: { code: keyof typeof REFUSAL_FIX; message: string }): BluelightError {
  return new BluelightError(code, `the center refused the claim: ${message}`, { fix: REFUSAL_FIX[code] });
}
