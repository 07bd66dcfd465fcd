import { mkdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../base/clock.js';
import { BluelightError } from '../../base/errors.js';
import { writeFileAtomic } from '../../base/files.js';
import type { Log } from '../../base/log.js';
import type { EnrolmentMessage } from '../../contract/enrolment.js';
import type { ClaimFile } from '../../contract/messages.js';
import type { Anchor } from '../../contract/evidence.js';
import { slug } from '../../contract/primitives.js';
import { openAuthority } from './authority.js';
import { startBroker } from './broker.js';
import { ClaimBook, type EnrolmentTry } from './claim-book.js';
import { CenterDb } from './db.js';
import type { BoxRecord, CheckpointRecord, ClipRecord, StoredEvent } from './records.js';
import { Desk } from './desk.js';
import { Enrolment, type IssuedClaim } from './enrolment.js';
import { Proofs } from './proofs.js';
import { startHttp, type Changes } from './http.js';
import { centerKeys } from './keys.js';
import { Membership } from './membership.js';
import { proposalBody, requestBody, Requests, type JobRecord, type Operator, type RequestBody } from './requests.js';
import { Uploads } from './uploads.js';

export type { EnrolmentTry } from './claim-book.js';
export type { BoxRecord, CheckpointRecord, ClipRecord, StoredEvent } from './records.js';
export type { IssuedClaim } from './enrolment.js';
export type { JobRecord, Operator, RequestBody } from './requests.js';

export interface VirtualCenterOptions {
  clock: Clock;
  log: Log;
  /** Keys, database and clips. */
  dir: string;
  /** Address that both ports listen on; default loopback. */
  host?: string;
  /** Host name or address that boxes are told; default `host`. */
  publicHost?: string;
  /** 0: any free one. */
  mqttPort?: number;
  httpPort?: number;
  id?: string;
  /** Use this broker instead of the embedded one. */
  broker?: { url: string; username?: string; password?: string };
  maxClipBytes?: number;
  /** Where the built console page lies. */
  pagesDir?: string;
}

export interface VirtualCenter {
  readonly brokerUrl: string;
  readonly uploadUrl: string;
  readonly consoleUrl: string;
  /** Ed25519, base64url */
  readonly publicKey: string;
  /** A claim without a secret: whoever comes first with this file is the box. */
  claimFile(site: string, box: string): ClaimFile;
  /** A claim with a one-time secret, as file, QR text and code. @param lifeMs default a week */
  issue(site: string, box: string, lifeMs?: number): IssuedClaim;
  /** What came of attempts to enrol, newest first. */
  enrolments(): EnrolmentTry[];
  /** PEM of the authority that signs the certificates of the boxes' pages. */
  readonly authority: string;
  /** Lets a box go: it stops obeying and sharing as soon as it hears of it. */
  revoke(site: string, box: string, reason: string): void;
  /** A new key of the center; every claimed box hears of it in words of the old one. */
  rotateKey(): string;
  /** What a box hears of keys and revocation, to be brought as a file where the broker is not reached. */
  enrolmentMessage(site: string, box: string): EnrolmentMessage;
  boxes(): BoxRecord[];
  /** Newest first. */
  clips(): ClipRecord[];
  events(limit?: number): StoredEvent[];
  /** What a box signed of its chains, newest first, with what is wrong about it. */
  checkpoints(site: string, box: string): CheckpointRecord[];
  counts(): { events: number; duplicates: number };
  /** Path of a delivered clip's file. */
  clipPath(clip: string): string | undefined;
  /** Who may command: signed and sent to every box. The first start enrols `op-1` of `rtcc`. */
  setOperators(operators: Operator[]): void;
  /**
   * Signs a command in the name of an operator and sends it.
   * @throws BluelightError UNKNOWN_OPERATOR | BOX_UNKNOWN, or a ZodError
   */
  request(body: RequestBody): JobRecord;
  /** Newest first. */
  jobs(): JobRecord[];
  /** Puts terms before the owner of a site. */
  propose(site: string, box: string, document: unknown, note?: string): void;
  /** Calls back whenever something new came in. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}

/** The user as which the center itself speaks to the embedded broker. No box can have it: box users hold a slash. */
const CENTER_USER = 'center';

/**
 * A center on one machine, for demonstrations, tests and integrators: embedded MQTT v5 broker (or a client of
 * another), clip receiver, signed acknowledgements, console page. Not for a fleet: one process, no logins, no TLS.
 */
export async function startVirtualCenter(options: VirtualCenterOptions): Promise<VirtualCenter> {
  const { clock, log, dir, host = '127.0.0.1', id = 'virtual' } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const keys = centerKeys(dir);
  const { signer, passwordOf } = keys;
  const db = new CenterDb(join(dir, 'center.db'));
  const book = new ClaimBook(join(dir, 'center.db'));
  const authority = await openAuthority(dir, id, clock.now());
  const changes = new ChangeList();
  const embedded =
    options.broker === undefined
      ? await startBroker({ clock, log, host, port: options.mqttPort ?? 0, passwordOf, centerUser: CENTER_USER })
      : undefined;
  const changed = (): void => changes.tell();
  const requests = new Requests(db, signer, clock);
  const claimOf = (site: string, box: string): ClaimFile => {
    const user = checkedUser(site, box);
    const login = embedded === undefined ? {} : { username: user, password: passwordOf(user) };
    const center = { id, broker: urls.broker, upload: urls.upload, key: signer.keyId, ...login };
    return { schema: 1, site, box, center };
  };
  const enrolment = new Enrolment({ clock, log, id, keys, book, db, authority, changed, claimOf, address: () => urls.enrol }); // prettier-ignore
  const membership = new Membership({ clock, keys, book, db, tell: (site, box) => desk.tellEnrolment(site, box) });
  const keysOf = (site: string, box: string): string[] => {
    const { key = null } = db.box(site, box) ?? {};
    return [...(key === null ? [] : [key]), ...book.keys(site, box)];
  };
  const uploads = new Uploads({
    clock,
    log,
    dir,
    db,
    signer,
    changed,
    keysOf,
    maxBytes: options.maxClipBytes ?? 4e9,
  });
  const http = await startHttp({
    log,
    host,
    port: options.httpPort ?? 0,
    db,
    uploads,
    requests,
    pagesDir: options.pagesDir ?? fileURLToPath(new URL('./pages', import.meta.url)),
    now: () => clock.now(),
    center: {
      id,
      get publicKey() {
        return signer.keyId;
      },
    },
    changes,
    enrolment,
    membership,
  });
  const own = { username: CENTER_USER, password: passwordOf(CENTER_USER) };
  const broker = options.broker ?? { url: `mqtt://${bracket(host)}:${embedded!.port}`, ...own };
  const onAnchor = (clip: string, anchor: Anchor): void => uploads.keepAnchor(clip, anchor);
  const proofs = new Proofs({ clock, db, keysOf, onAnchor });
  const desk = new Desk({ clock, log, id, signer, db, proofs, requests, broker, changed, membership });
  const shown = bracket(options.publicHost ?? host);
  const urls = {
    broker: embedded === undefined ? broker.url : `mqtt://${shown}:${embedded.port}`,
    upload: `http://${shown}:${http.port}/upload`,
    enrol: `http://${shown}:${http.port}/enrol`,
  };
  if (embedded !== undefined) await desk.ready();
  return {
    brokerUrl: urls.broker,
    uploadUrl: urls.upload,
    consoleUrl: `http://${shown}:${http.port}/`,
    get publicKey() {
      return signer.keyId;
    },
    authority: authority.certificate,
    issue: (site, box, lifeMs) => enrolment.issue(site, box, lifeMs),
    enrolments: () => book.tries(1_000),
    revoke: (site, box, reason) => membership.revoke(site, box, reason),
    rotateKey: () => membership.rotateKey(),
    enrolmentMessage: (site, box) => membership.message(site, box),
    claimFile(site, box) {
      const file = claimOf(site, box);
      writeFileAtomic(join(dir, 'claims', `${site}.${box}.json`), `${JSON.stringify(file, null, 2)}\n`);
      return file;
    },
    boxes: () => db.boxes(),
    clips: () => db.clips(10_000),
    events: (limit = 10_000) => db.events({ limit }),
    checkpoints: (site, box) => db.checkpoints(site, box, 10_000),
    counts: () => db.counts(),
    clipPath(clip) {
      const record = db.clip(clip);
      return record?.state === 'delivered' ? uploads.path(record) : undefined;
    },
    setOperators: (operators) => requests.setOperators(operators),
    request: (body) => requests.request(requestBody.parse(body)),
    jobs: () => requests.jobs(10_000),
    propose: (site, box, document, note = '') => requests.propose(proposalBody.parse({ site, box, document, note })),
    onChange: (listener) => changes.subscribe(listener),
    async close() {
      await desk.close();
      await http.close();
      await embedded?.close();
      book.close();
      db.close();
    },
  };
}

class ChangeList implements Changes {
  readonly #listeners = new Set<() => void>();

  tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The broker's user of a box: `{site}/{box}`, so that one access rule fits all. */
function checkedUser(site: string, box: string): string {
  if (!slug.safeParse(site).success || !slug.safeParse(box).success || site === CENTER_USER) {
    throw new BluelightError('BAD_NAME', `${site}/${box} cannot be names of a site and a box`, {
      fix: 'small letters, digits and dashes, at most 40; a site cannot be called "center"',
    });
  }
  return `${site}/${box}`;
}

function bracket(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}
