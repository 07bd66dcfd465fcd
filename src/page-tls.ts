import { backoffMs } from './base/backoff.js';
import type { Clock } from './base/clock.js';
import { errorMessage, toErrorData } from './base/errors.js';
import type { Log } from './base/log.js';
import { certificateRequest } from './base/self-signed.js';
import type { IdentityBody } from './contract/identity.js';
import { toUtc } from './contract/primitives.js';
import {
  keepIssued,
  PAGE_SUBJECT,
  pageCertificate,
  siteNames,
  wantsIssued,
  type PageCertificate,
} from './identity/certificate.js';
import type { Claims, Membership } from './identity/claims.js';
import type { EnrolClient } from './identity/enrolment.js';
import type { Gate } from './policy/gate.js';
import type { Signer } from './proof/keys.js';
import type { Store } from './store/client.js';

export interface PageTlsOptions {
  clock: Clock;
  log: Log;
  store: Store;
  claims: Claims;
  signer: Signer;
  gate: Pick<Gate, 'note'>;
  client: EnrolClient;
  /** Whether the box belongs to a center, from memory. */
  claimed: () => boolean;
  /** Names and addresses under which the page is opened, as they are now. */
  names: () => string[];
}

const TICK_MS = 5_000;
const RETRY = { firstMs: 5_000, factor: 2, maxMs: 3_600_000 };
const DAY_MS = 86_400_000;

/**
 * The certificate of the local page: self-signed until the box belongs to a center, then issued by it and renewed in
 * time. The center sees a request; the key is made here and stays.
 */
export class PageTls {
  readonly #o: PageTlsOptions;
  #present: PageCertificate;
  #use: (certificate: PageCertificate) => void = () => undefined;
  #detail = '';
  #tries = 0;
  #nextMono = 0;
  #looked = '';
  #stop = (): void => undefined;
  #stopped = false;

  private constructor(options: PageTlsOptions, present: PageCertificate) {
    this.#o = options;
    this.#present = present;
  }

  static async open(options: PageTlsOptions): Promise<PageTls> {
    const { store: tables, clock, log } = options;
    return new PageTls(options, await pageCertificate({ tables, clock, log }, options.names()));
  }

  get certificate(): PageCertificate {
    return this.#present;
  }

  get shown(): NonNullable<IdentityBody['certificate']> {
    const { fingerprint, issuer, toMs } = this.#present;
    return { fingerprint, issuer, expiresAt: toUtc(toMs), detail: this.#detail };
  }

  /** @param use a running server takes it up, for new connections */
  start(use: (certificate: PageCertificate) => void): void {
    this.#use = use;
    this.#stop = this.#o.clock.every(TICK_MS, () => this.#tick());
  }

  /** Does not wait for a center that is being asked: its answer is then left alone. */
  stop(): void {
    this.#stopped = true;
    this.#stop();
  }

  async #tick(): Promise<void> {
    const { clock, claimed, names } = this.#o;
    if (!claimed()) {
      this.#detail = '';
      this.#tries = this.#nextMono = 0;
      // What a center vouched for goes with it.
      return this.#own('self');
    }
    if (wantsIssued(this.#present, names(), clock.now())) await this.#askInTime();
    await this.#own();
  }

  /** Looks at the file only when something changed that could make it bad. */
  async #own(only?: 'self'): Promise<void> {
    const { store: tables, clock, log, names } = this.#o;
    const about = [...names(), only ?? '', Math.floor(clock.now() / DAY_MS)].join();
    if (about === this.#looked || this.#stopped) return;
    this.#take(await pageCertificate({ tables, clock, log }, names(), only));
    this.#looked = about;
  }

  #take(certificate: PageCertificate): void {
    this.#present = certificate;
    if (certificate.fresh) this.#use(certificate);
  }

  async #askInTime(): Promise<void> {
    const { clock, log, claims } = this.#o;
    if (clock.monotonic() < this.#nextMono) return;
    const membership = await claims.membership();
    if (membership === null || membership.waiting) return;
    if (membership.address === null) {
      this.#detail = 'the claim came without an address at which the center issues certificates';
      this.#nextMono = clock.monotonic() + RETRY.maxMs;
      return;
    }
    try {
      await this.#ask(membership, membership.address);
      this.#detail = '';
      this.#tries = 0;
    } catch (error) {
      const { code, message } = toErrorData(error);
      log.warn({ code }, `no certificate of the center for the page yet: ${message}`);
      this.#detail = errorMessage(error);
      this.#nextMono = clock.monotonic() + backoffMs(this.#tries++, RETRY);
    }
  }

  async #ask({ claim, centerKeys }: Membership, address: string): Promise<void> {
    const { store: tables, clock, log, client, signer, gate } = this.#o;
    const names = this.#o.names();
    const { key, csr } = await certificateRequest(PAGE_SUBJECT, siteNames(names));
    const { site, box, center } = claim;
    const ask = { center: center.id, centerKey: centerKeys[0] ?? '', site, box, csr };
    const issued = await client.certificate(address, ask, signer);
    if (this.#stopped) return;
    this.#take(await keepIssued({ tables, clock, log }, { key, ...issued }, names));
    await gate.note({
      kind: 'identity',
      outcome: 'done',
      party: center.id,
      door: 'auto',
      action: 'certificate',
      reason: `the center issued the certificate of the page, good until ${toUtc(this.#present.toMs)}`,
    });
  }
}
