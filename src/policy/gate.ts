import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { ulid } from '../base/ids.js';
import type { Log } from '../base/log.js';
import type { Grant } from '../contract/grant.js';
import type { AccessRequest, Decision, Party } from '../contract/policy.js';
import type { AuditNote } from '../store/audit.js';
import type { TableCalls } from '../store/calls.js';
import { accessNote, doorOf, ofJob, partyColumns } from './audit-note.js';
import { decide, holdsUntil } from './decide.js';
import { leaseMs } from './lease.js';
import { LocalSums } from './local-sums.js';
import { Repeats } from './repeats.js';
import { Sharing, type SharingTables } from './sharing.js';
import type { Approved, PolicyState } from './state.js';
import { ToldLater } from './told-later.js';
import { ClockLease, NO_TERMS, readTerms, type TermsInForce } from './terms.js';

export interface GatePorts {
  tables: SharingTables & Pick<TableCalls, 'audit' | 'policies' | 'keys'>;
  /** Text of the policy file; null: there is none. */
  readPolicyFile(): Promise<string | null>;
  /** Whether the wall clock is known to be right (NTP, the center's time). */
  clockTrusted(): boolean;
  clock: Clock;
  log: Log;
}

interface OpenGrant {
  grant: Grant;
  request: AccessRequest;
  abort: AbortController;
}

/** How often hours, ends and the policy file are looked at again. */
const RECHECK_MS = 1_000;
const FILE_MS = 2_000;
const SUMS_MS = 30_000;
/** A technician is let in for a visit. */
const TECHNICIAN_MS = 24 * 3_600_000;

/**
 * The one gate. Nothing leaves the box, by any door, without a `Grant` that `authorise` gave; every grant and every
 * refusal stands in the audit log before it counts. What runs under a grant is aborted as soon as it would no longer
 * be given.
 */
export class Gate {
  readonly #ports: GatePorts;
  readonly #sharing: Sharing;
  readonly #lease: ClockLease;
  readonly #repeats: Repeats;
  readonly #sums: LocalSums;
  readonly #open = new Set<OpenGrant>();
  /** Also of ended grants: what came of them is still to be told. */
  readonly #requests = new WeakMap<Grant, AccessRequest>();
  readonly #listeners = new Set<() => void>();
  readonly #stops: (() => void)[] = [];
  /** Looks that the owner is shown later. */
  readonly later: ToldLater;
  #terms: TermsInForce = NO_TERMS;
  #reading: Promise<void> = Promise.resolve();

  private constructor(ports: GatePorts) {
    this.#ports = ports;
    this.#sharing = new Sharing(ports.clock, ports.tables);
    this.#lease = new ClockLease(ports.clock, ports.clockTrusted);
    this.#repeats = new Repeats(ports.clock);
    this.#sums = new LocalSums(ports.clock, (note) => this.note(note));
    this.later = new ToldLater({
      clock: ports.clock,
      kv: ports.tables.kv,
      clockHolds: () => this.#lease.holds(),
      limitMs: () => this.notifyLimitS() * 1_000,
    });
  }

  /** Loads what the owner decided and starts to watch hours and file. */
  static async open(ports: GatePorts): Promise<Gate> {
    const gate = new Gate(ports);
    await gate.#sharing.load();
    await gate.later.load();
    await gate.reload();
    gate.#stops.push(ports.clock.every(RECHECK_MS, () => gate.recheck()));
    gate.#stops.push(ports.clock.every(FILE_MS, () => gate.reload()));
    gate.#stops.push(ports.clock.every(SUMS_MS, () => gate.#sums.flush(false)));
    return gate;
  }

  /** Ends every grant. */
  close(): void {
    for (const stop of this.#stops) stop();
    for (const one of [...this.#open]) this.#end(one, new BluelightError('SHUTDOWN', 'the agent stops'));
  }

  /** Writes what was only counted so far. */
  settle(): Promise<void> {
    return this.#sums.flush(true);
  }

  get terms(): TermsInForce {
    return this.#terms;
  }

  /** Of the site in the program; only `active` shares. */
  get enrolment(): PolicyState['enrolment'] {
    return this.#state().enrolment;
  }

  /** Whether hours and ends can be told at this moment. */
  clockHolds(): boolean {
    return this.#lease.holds();
  }

  /** How much later the owner may be told of a look, s. */
  notifyLimitS(): number {
    return this.enrolment === 'active' ? (this.#terms.document?.notifyDelaySeconds ?? 0) : 0;
  }

  pausedUntil(): number | null {
    return this.#sharing.pausedUntil();
  }

  /** At a store: until when the technician may see pictures; null: he may not. */
  technicianUntil(): number | null {
    const until = this.#state().technicianUntilMs;
    return until === null || until <= this.#ports.clock.now() ? null : until;
  }

  /** Called after every change of terms, pause, window or approval. Returns the unsubscription. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What the gate would say, without a trace: for pages that show what is shared. Opens nothing. */
  preview(request: AccessRequest): Decision {
    return decide(this.#terms.document, this.#state(), request, this.#ports.clock.now());
  }

  /**
   * Asks the gate. The grant is given after its audit row is on disk.
   * @throws BluelightError with a `DenialCode`; AUDIT_FAILED: not even a grant counts that nobody can read later
   */
  async authorise(request: AccessRequest): Promise<Grant> {
    const { clock } = this.#ports;
    const first = this.preview(request);
    const now = clock.now();
    const repeated = this.#repeats.find(request, first);
    const id = repeated ?? ulid(now);
    if (!first.allow) {
      if (repeated === null) await this.#auditRefusal(request, first, id);
      throw refusal(first);
    }
    if (repeated === null) {
      await this.#audit(accessNote(request, { id, atMs: now, outcome: 'granted', why: first.why }));
      this.#repeats.add(request, first, id);
    }
    // The owner may have paused while the row was written.
    const second = this.preview(request);
    if (!second.allow) {
      await this.#auditRefusal(request, second, ulid(clock.now()));
      throw refusal(second);
    }
    return this.#grant(id, request);
  }

  /** What came of a grant: bytes that left, or why it failed. Ends it. */
  async finished(grant: Grant, end: { outcome: 'done' | 'failed'; bytes: number; why: string }): Promise<void> {
    const one = [...this.#open].find((open) => open.grant === grant);
    if (one !== undefined) this.#open.delete(one);
    const request = this.#requests.get(grant);
    const note = {
      kind: 'access',
      outcome: end.outcome,
      ...(request === undefined ? { party: 'agent' } : partyColumns(request.party)),
      door: request?.door ?? 'auto',
      action: grant.kind,
      camera: grant.camera,
      fromMs: grant.range.fromMs,
      toMs: Number.isSafeInteger(grant.range.toMs) ? grant.range.toMs : null,
      reason: end.why,
      caseNo: request?.case ?? null,
      bytes: end.bytes,
      ref: grant.id,
      ...(request?.job === undefined ? {} : { detail: ofJob(request.job) }),
    };
    const streams = request?.party.kind === 'local' && (grant.kind === 'live' || grant.kind === 'playback');
    await (streams ? this.#sums.add(grant.id, note) : this.note(note));
  }

  /** Every other event that the owner may want to read: configuration, keys, logins, commands. */
  async note(entry: Omit<AuditNote, 'id' | 'atMs'>): Promise<void> {
    const now = this.#ports.clock.now();
    await this.#audit({ ...entry, id: ulid(now), atMs: now });
  }

  /** Reads terms and file anew; one reading after the other, so that an old one never comes last. */
  reload(): Promise<void> {
    const next = this.#reading.then(() => this.#read());
    // Whoever called hears of the failure; the next reading starts whatever came of this one.
    this.#reading = next.catch(() => undefined);
    return next;
  }

  async #read(): Promise<void> {
    const { tables, readPolicyFile, log } = this.#ports;
    const before = this.#terms;
    const now = await readTerms(
      { accepted: () => tables.policies.accepted(), keys: tables.keys, readFile: readPolicyFile },
      before,
    );
    this.#terms = now;
    const other = now.sha256 !== before.sha256 || now.source !== before.source;
    if (other) this.#changed();
    if (now.error !== null && now.error.message !== before.error?.message) {
      log.error({ code: now.error.code, fix: now.error.fix }, now.error.message);
      await this.#notePolicy('failed', now.error.code, now.error.message);
    }
    if (!other) return;
    const version = now.document === null ? 'none' : `version ${now.document.version}`;
    log.info({ source: now.source, sha256: now.sha256 }, `policy in force: ${version}`);
    await this.#notePolicy('done', null, `policy in force: ${version} (${now.source})`);
  }

  /** Looks at every open grant again and aborts what would no longer be given. */
  recheck(): void {
    if (this.#open.size === 0) return;
    const now = this.#ports.clock.now();
    const mono = this.#ports.clock.monotonic();
    const state = this.#state();
    for (const one of [...this.#open]) {
      const answer = decide(this.#terms.document, state, one.request, now);
      if (!answer.allow) this.#end(one, refusal(answer));
      else if (mono >= one.grant.expiresAtMono) this.#end(one, new BluelightError('EXPIRED', 'the grant has expired'));
    }
  }

  /**
   * Stops sharing at once; recording goes on. What runs is aborted before this returns its promise.
   * @param until ms since 1970; null: until resumed
   */
  async pause(until: number | null, by: Party, reason: string): Promise<void> {
    const written = this.#sharing.pause(until, partyColumns(by).party, reason);
    this.#changed();
    await written;
    await this.#noteBy(by, 'policy', 'pause', reason, { untilMs: until });
  }

  async resume(by: Party, reason: string): Promise<void> {
    await this.#sharing.resume();
    this.#changed();
    await this.#noteBy(by, 'policy', 'resume', reason, null);
  }

  async openEmergency(until: number, by: Party, reason: string, test = false): Promise<string> {
    const id = await this.#sharing.openEmergency(until, partyColumns(by).party, test);
    this.#changed();
    await this.#noteBy(by, 'policy', 'emergency.open', reason, { untilMs: until, test });
    return id;
  }

  async closeEmergency(by: Party, reason: string): Promise<void> {
    const written = this.#sharing.closeEmergency();
    this.#changed();
    await written;
    await this.#noteBy(by, 'policy', 'emergency.close', reason, null);
  }

  /**
   * At a store: lets the technician see pictures until then, a day at most; null: no longer.
   * @throws BluelightError BAD_TIME
   */
  async letTechnicianLook(until: number | null, by: Party): Promise<void> {
    const now = this.#ports.clock.now();
    if (until !== null && !(until > now && until <= now + TECHNICIAN_MS)) {
      throw new BluelightError('BAD_TIME', 'a technician is let in for a time that ends within a day', {
        fix: 'give an end between now and 24 hours from now',
      });
    }
    const written = this.#sharing.letTechnicianLook(until);
    this.#changed();
    await written;
    await this.#noteBy(by, 'policy', 'technician', 'pictures for the technician', { untilMs: until });
  }

  /** The owner's answer to a request of ask mode, written before. */
  approve(approved: Approved): void {
    this.#sharing.approve(approved);
    this.#changed();
  }

  async setEnrolment(value: 'none' | 'pending' | 'active' | 'ended', by: Party, reason: string): Promise<void> {
    const written = this.#sharing.setEnrolment(value);
    this.#changed();
    await written;
    await this.#noteBy(by, 'policy', `enrolment.${value}`, reason, null);
  }

  /**
   * The box belongs to a center again. What ended with the last one stays ended until somebody consents; at a site of
   * the city its policy file is that consent.
   */
  async claimedAnew(): Promise<void> {
    const { source, document } = this.#terms;
    const ended = this.#sharing.state(false).enrolment === 'ended';
    if (!ended || source !== 'file' || document?.authority !== 'city') return;
    await this.setEnrolment('none', { kind: 'agent' }, 'claimed anew; the policy file of the city counts');
  }

  #state() {
    const state = this.#sharing.state(this.#lease.holds());
    // Whoever keeps a policy file on the box enrolled it; only signed terms know an enrolment of their own.
    const byFile = this.#terms.source === 'file' && state.enrolment === 'none';
    return byFile ? { ...state, enrolment: 'active' as const } : state;
  }

  #grant(id: string, request: AccessRequest): Grant {
    const { clock } = this.#ports;
    const abort = new AbortController();
    const now = clock.now();
    const holdsMs = holdsUntil(this.#terms.document, this.#state(), request, now) - now;
    const grant = Object.freeze({
      id,
      camera: request.camera,
      kind: request.kind,
      range: Object.freeze({ ...request.range }),
      expiresAtMono: clock.monotonic() + Math.max(0, Math.min(holdsMs, leaseMs(request))),
      signal: abort.signal,
      // The brand exists in types only; this is the one place that gives it.
    }) as unknown as Grant;
    this.#open.add({ grant, request, abort });
    this.#requests.set(grant, request);
    return grant;
  }

  #end(one: OpenGrant, why: BluelightError): void {
    this.#open.delete(one);
    one.abort.abort(why);
  }

  #changed(): void {
    this.#repeats.clear();
    this.recheck();
    for (const listener of this.#listeners) listener();
  }

  async #auditRefusal(request: AccessRequest, answer: Decision & { allow: false }, id: string): Promise<void> {
    const atMs = this.#ports.clock.now();
    await this.#audit(accessNote(request, { id, atMs, outcome: 'refused', code: answer.code, why: answer.why }));
    this.#repeats.add(request, answer, id);
  }

  async #audit(note: AuditNote): Promise<void> {
    try {
      await this.#ports.tables.audit.append(note);
    } catch (error) {
      this.#ports.log.error({ error, action: note.action }, 'the audit log cannot be written, so nothing is given out');
      throw new BluelightError('AUDIT_FAILED', 'the audit log cannot be written, so nothing is given out', {
        fix: 'check the system disk of the box',
        retryable: true,
        cause: error,
      });
    }
  }

  #notePolicy(outcome: 'done' | 'failed', code: string | null, reason: string): Promise<void> {
    return this.note({ kind: 'policy', outcome, party: 'agent', door: 'auto', action: 'terms', code, reason });
  }

  #noteBy(by: Party, kind: string, action: string, reason: string, detail: unknown): Promise<void> {
    return this.note({ kind, outcome: 'done', ...partyColumns(by), door: doorOf(by), action, reason, detail });
  }
}

function refusal(answer: Decision & { allow: false }): BluelightError {
  return new BluelightError(answer.code, `Refused: ${answer.why}.`, { fix: FIX[answer.code] });
}

const FIX: Record<(Decision & { allow: false })['code'], string> = {
  POLICY_DENIED: 'see what is shared: `bluelight policy show`',
  OUTSIDE_HOURS: 'ask for a time within the hours of the terms: `bluelight policy show`',
  PAUSED_BY_OWNER: 'wait until the owner resumes sharing',
  OWNER_APPROVAL_REQUIRED: 'wait for the answer of the owner; no answer is no',
  NOT_ENROLLED: 'the owner must consent to terms first: `bluelight policy accept`',
};
