import { createHash } from 'node:crypto';
import { backoffMs } from './base/backoff.js';
import type { Clock } from './base/clock.js';
import { BluelightError, errorCode, errorMessage, toErrorData } from './base/errors.js';
import type { Log } from './base/log.js';
import {
  enrolmentMessage,
  keyFingerprint,
  readClaimQr,
  readFingerprint,
  revocation as revocationSchema,
  REVOCATION_TYPE,
  type ClaimTicket,
} from './contract/enrolment.js';
import type { ClaimCodeBody, ClaimedBody, ClaimFoundBody, RotatedBody } from './contract/identity.js';
import { claimFile } from './contract/messages.js';
import type { Party } from './contract/policy.js';
import type { BoxKey } from './identity/box-key.js';
import type { Claims } from './identity/claims.js';
import { enrolHttp } from './identity/enrol-http.js';
import { EnrolClient } from './identity/enrolment.js';
import { readCode } from './identity/passwords.js';
import { rotateCenterKey } from './identity/rotation.js';
import type { Outside } from './outside.js';
import type { OutsideReading } from './reading.js';
import { partyColumns } from './policy/audit-note.js';
import type { Gate } from './policy/gate.js';
import { openJws } from './proof/jws.js';
import type { Store } from './store/client.js';

export interface EnrolmentOptions {
  clock: Clock;
  log: Log;
  store: Store;
  claims: Claims;
  signer: BoxKey;
  outside: Outside;
  gate: Gate;
  /** The ring signs by itself: it needs the new key. */
  onKey: (key: BoxKey['key']) => Promise<void>;
  /** Address of the center for typed codes; empty: it must be typed too. */
  address: string;
}

/** Something that a technician must hear although nobody asked: why the box is nobody's. */
export interface ClaimNotice {
  code: string;
  message: string;
  fix: string;
}

const TICK_MS = 1_000;
const RETRY = { firstMs: 2_000, factor: 2, maxMs: 300_000 };
const NOTICE = 'claim.notice';
const REVOCATIONS = 'claim.revocationsSeen';
/** The center's word in these ends the claim. */
const FINAL = new Set(['CLAIM_WRONG', 'CLAIM_USED', 'CLAIM_EXPIRED', 'CLAIM_INVALID', 'KEY_USED']);
/** A person who has just typed it can mend it; later it may be somebody on the way, and the box goes on trying. */
const FINAL_AT_FIRST = new Set([...FINAL, 'CENTER_FOREIGN']);
const NOBODY: ClaimedBody = { state: 'none', site: null, box: null, center: null, detail: '' };

/** How this box comes to a center, and how the center's later words on keys and membership take effect. */
export class Enrolment {
  readonly #o: EnrolmentOptions;
  readonly #client: EnrolClient;
  #now: ClaimedBody = NOBODY;
  #notice: ClaimNotice | null = null;
  #detail = '';
  #tries = 0;
  #nextMono = 0;
  #running: Promise<void> | null = null;
  #message: string | null = null;
  #done = '';
  #letGo: (reason: string, by: Party) => Promise<void> = () => Promise.resolve();
  #stopTicks: () => void = () => undefined;

  constructor(options: EnrolmentOptions) {
    this.#o = options;
    this.#client = new EnrolClient(
      enrolHttp((target) => options.outside.dial(target)),
      options.clock,
    );
  }

  /** The box's side of contract/enrolment, for the certificate of the page. */
  get client(): EnrolClient {
    return this.#client;
  }

  /** @param letGo what the end of the membership by the center means for sharing */
  async start(letGo: (reason: string, by: Party) => Promise<void>): Promise<void> {
    this.#letGo = letGo;
    this.#notice = (await this.#o.store.kv.get(NOTICE)) as ClaimNotice | null;
    await this.#read();
    this.#stopTicks = this.#o.clock.every(TICK_MS, () => this.#tick());
  }

  async stop(): Promise<void> {
    this.#stopTicks();
    await this.#running;
  }

  get state(): ClaimedBody {
    return this.#now;
  }

  /** As it stands now, also right after the box left. */
  async current(): Promise<ClaimedBody> {
    await this.#read();
    return this.#now;
  }

  /** The reading of the way out, as long as the center has not taken the claim. */
  over(reading: OutsideReading): OutsideReading {
    if (this.#now.state !== 'waiting') return reading;
    const { detail } = this.#now;
    return { ...reading, claimed: true, center: { ...reading.center, state: 'connecting', detail } };
  }

  get notice(): ClaimNotice | null {
    return this.#notice;
  }

  /** @throws BluelightError CENTER_UNREACHABLE | USAGE */
  async look(typed: string | undefined): Promise<ClaimFoundBody> {
    const address = this.#address(typed);
    const found = await this.#client.look(address);
    return { address, center: found.id, fingerprint: keyFingerprint(found.key) };
  }

  /** @throws BluelightError CLAIM_INVALID | CLAIMED | CLAIM_USED | CLAIM_EXPIRED | CLAIM_WRONG | CENTER_FOREIGN */
  claimFile(data: unknown, by: Party): Promise<ClaimedBody> {
    return this.#claim('claim.file', by, async () => {
      await this.#o.claims.bind(data);
    });
  }

  claimQr(text: string, by: Party): Promise<ClaimedBody> {
    return this.#claim('claim.qr', by, async () => this.#o.claims.wait(readClaimQr(text)));
  }

  /** A typed code, after a person has compared the fingerprint. */
  claimCode(body: ClaimCodeBody, by: Party): Promise<ClaimedBody> {
    return this.#claim('claim.code', by, async () => {
      const code = readCode(body.code);
      const fingerprint = readFingerprint(body.fingerprint);
      if (code === null) throw badCode('a code has eight letters and digits');
      if (fingerprint === null) throw badCode('a fingerprint has five groups of four');
      const ticket: ClaimTicket = { address: this.#address(body.address), fingerprint, secret: code.replace('-', '') };
      await this.#o.claims.wait(ticket);
    });
  }

  /** Takes a claim back that the center has not answered yet. */
  async cancel(by: Party): Promise<ClaimedBody> {
    await this.#alone(async () => {
      if ((await this.#o.claims.waiting()) === null) return;
      await this.#o.claims.giveUp('taken back');
      await this.#note(by, 'claim.cancel', 'done', null, 'the claim was taken back');
      await this.#o.outside.reopen();
    });
    await this.#read();
    return this.#now;
  }

  /** A new key for this box; the center hears of it in the words of the old one. */
  async rotateKey(by: Party): Promise<RotatedBody> {
    const { site, box } = this.#o.outside.reading();
    const rotated = await this.#o.signer.rotate({ site, box });
    await this.#note(by, 'key.rotate', 'done', null, `${rotated.before} gave way to ${rotated.after}`);
    await this.#o.onKey(this.#o.signer.key);
    await this.#o.outside.refresh();
    return rotated;
  }

  /** A message on the topic `enrolment`; taken up at the next tick, when everything runs. */
  receive(text: string): void {
    this.#message = text;
  }

  /**
   * The center's words on its keys and on the membership, as they came over MQTT or as a file. What was obeyed before
   * is passed over.
   * @throws BluelightError BAD_REQUEST | NOT_ENROLLED and what `openJws` throws: not a word of this center
   */
  async obey(data: unknown, door: 'mqtt' | 'page', by: Party = center('unknown')): Promise<void> {
    try {
      await this.#obey(data, door);
    } catch (error) {
      const { code, message } = toErrorData(error);
      await this.#note(by, 'enrolment', 'refused', code, message, door);
      throw error;
    }
  }

  async #obey(data: unknown, door: 'mqtt' | 'page'): Promise<void> {
    const read = enrolmentMessage.safeParse(data);
    if (!read.success) throw new BluelightError('BAD_REQUEST', 'these are no words of a center on keys and membership');
    const membership = await this.#o.claims.membership();
    if (membership === null) throw new BluelightError('NOT_ENROLLED', 'this box belongs to no center');
    const { site, box } = membership.claim;
    let changed = false;
    const known = new Set((await this.#o.store.keys.list()).map((key) => key.statement));
    for (const statement of read.data.rotations) {
      if (known.has(statement)) continue;
      const key = await rotateCenterKey(this.#o.store, this.#o.clock, statement, { site, box });
      await this.#note(center(membership.claim.center.id), 'key.center', 'done', null, `the center signs with ${key}`, door); // prettier-ignore
      changed = true;
    }
    if (changed) await this.#o.outside.reopen();
    if (read.data.revocation !== null) await this.#revoked(read.data.revocation, { site, box });
    await this.#read();
  }

  async #revoked(statement: string, place: { site: string; box: string }): Promise<void> {
    const { claims, store } = this.#o;
    const membership = (await claims.membership())!;
    const { payload } = openJws(statement, { type: REVOCATION_TYPE, trusted: membership.centerKeys });
    const said = revocationSchema.parse(payload);
    if (said.site !== place.site || said.box !== place.box) {
      throw new BluelightError('WRONG_BOX', `the revocation is for ${said.site}/${said.box}`);
    }
    const seen = ((await store.kv.get(REVOCATIONS)) ?? []) as string[];
    if (seen.includes(said.id)) return;
    await this.#tell({
      code: 'CLAIM_REVOKED',
      message: `the center ${membership.claim.center.id} let this box go: ${said.reason}`,
      fix: 'nothing is shared any more, recording goes on; to join again ask the center for a new claim',
    });
    await this.#letGo(said.reason, center(membership.claim.center.id));
    await store.kv.put({ key: REVOCATIONS, value: [...seen, said.id].slice(-100) });
  }

  async #claim(action: string, by: Party, take: () => Promise<void>): Promise<ClaimedBody> {
    await this.#alone(async () => {
      try {
        await take();
        await this.#tell(null);
        this.#tries = 0;
        await this.#attempt(FINAL_AT_FIRST);
        // Without a secret there is nothing to wait for: the center answers over its broker.
        await this.#o.outside.reopen();
      } catch (error) {
        await this.#note(by, action, 'refused', errorCode(error) ?? 'INTERNAL', errorMessage(error));
        throw error;
      } finally {
        await this.#read();
      }
    });
    await this.#note(by, action, 'done', null, this.#words());
    return this.#now;
  }

  #words(): string {
    const { state, site, box, center: id, detail } = this.#now;
    const name = site === null ? 'this box' : `${site}/${box} of center ${id}`;
    return `${name}: ${state}${detail === '' ? '' : `, ${detail}`}`;
  }

  async #tick(): Promise<void> {
    const text = this.#message;
    this.#message = null;
    if (text !== null) await this.#hear(text);
    const due = this.#o.clock.monotonic() >= this.#nextMono;
    if (due && this.#now.state === 'waiting') await this.#alone(() => this.#again());
    await this.#read();
  }

  /** Retained, so it comes with every connection: what was refused once is not told again. */
  async #hear(text: string): Promise<void> {
    const digest = createHash('sha256').update(text).digest('hex');
    if (text === '' || digest === this.#done) return;
    try {
      await this.obey(parsed(text), 'mqtt');
    } catch (error) {
      const { code, message, retryable } = toErrorData(error);
      this.#o.log.warn({ code }, `words of the center on keys and membership were refused: ${message}`);
      // Our own trouble, not a bad word: it is heard again with the next tick.
      if (retryable) {
        this.#message ??= text;
        return;
      }
    }
    this.#done = digest;
  }

  async #again(): Promise<void> {
    try {
      if (await this.#attempt(FINAL)) await this.#o.outside.reopen();
    } catch (error) {
      const { code, message, fix } = toErrorData(error);
      await this.#tell({ code, message, fix: fix ?? 'ask the center for a new claim' });
      await this.#note({ kind: 'agent' }, 'claim', 'refused', code, message);
      await this.#o.outside.reopen();
    }
  }

  /**
   * Shows the secret, if one waits. True: the center took it.
   * @throws what ends the claim, one of `final`; everything else is tried again
   */
  async #attempt(final: ReadonlySet<string>): Promise<boolean> {
    const { claims, clock, log, signer } = this.#o;
    const waiting = await claims.waiting();
    if (waiting === null) return false;
    try {
      const answer = await this.#client.enrol(waiting.ticket, signer);
      await this.#refuseOther(answer, waiting.claim);
      await claims.enrolled(answer);
      await this.#o.gate.claimedAnew();
      this.#detail = '';
      return true;
    } catch (error) {
      const { code, message } = toErrorData(error);
      log.warn({ code }, `the claim is not complete: ${message}`);
      if (final.has(code)) {
        await claims.giveUp(`${code}: ${message}`);
        throw error;
      }
      this.#detail = message;
      this.#nextMono = clock.monotonic() + backoffMs(this.#tries++, RETRY);
      return false;
    }
  }

  /** The file said who this box is; a center that says something else is not the one that wrote it. */
  async #refuseOther(answer: unknown, claim: string | null): Promise<void> {
    const file = claimFile.safeParse(answer);
    const present = claim === null ? null : await this.#o.claims.membership();
    if (!file.success || present === null) return;
    const { site, box, center: said } = file.data;
    const { claim: mine } = present;
    if (site !== mine.site || box !== mine.box || said.key !== mine.center.key) {
      throw new BluelightError('CLAIM_INVALID', `the center knows this claim as ${site}/${box}, not as its file says`, {
        fix: 'ask the center for a new claim file',
      });
    }
  }

  async #read(): Promise<void> {
    const { claims } = this.#o;
    const [membership, waiting] = [await claims.membership(), await claims.waiting()];
    if (membership === null && waiting === null) this.#now = NOBODY;
    else {
      const claim = membership?.claim;
      this.#now = {
        state: waiting !== null ? 'waiting' : (claim?.state as 'pending' | 'active'),
        site: claim?.site ?? null,
        box: claim?.box ?? null,
        center: claim?.center.id ?? null,
        detail: waiting === null ? '' : this.#detail || 'the center has not answered yet',
      };
    }
  }

  /** One at a time: a claim, an attempt in the background, taking it back. */
  async #alone(work: () => Promise<void>): Promise<void> {
    while (this.#running !== null) await this.#running;
    const mine = work();
    this.#running = mine.catch(() => undefined).finally(() => (this.#running = null));
    await mine;
  }

  async #tell(notice: ClaimNotice | null): Promise<void> {
    this.#notice = notice;
    await (notice === null ? this.#o.store.kv.remove(NOTICE) : this.#o.store.kv.put({ key: NOTICE, value: notice }));
  }

  #address(typed: string | undefined): string {
    const text = typed ?? this.#o.address;
    const address = /^https?:\/\//i.test(text) ? text : `https://${text}`;
    if (text === '' || !URL.canParse(address)) {
      throw new BluelightError('BAD_REQUEST', 'the address of the center is missing or no address', {
        fix: 'type it as the center gave it beside the code, or set center.address in the configuration',
      });
    }
    return address;
  }

  async #note(
    by: Party,
    action: string,
    outcome: 'done' | 'refused',
    code: string | null,
    reason: string,
    door: 'mqtt' | 'page' | 'auto' = by.kind === 'agent' ? 'auto' : 'page',
  ): Promise<void> {
    await this.#o.gate.note({ kind: 'identity', outcome, ...partyColumns(by), door, action, code, reason });
  }
}

/** Undefined, which nobody obeys: not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function center(id: string): Party {
  return { kind: 'operator', operator: id, agency: id, role: 'center' };
}

function badCode(why: string): BluelightError {
  return new BluelightError('CLAIM_INVALID', `this cannot be right: ${why}`, {
    fix: 'type code and fingerprint as the center gave them',
  });
}
