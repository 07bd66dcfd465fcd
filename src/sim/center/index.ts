import { mkdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../base/clock.js';
import { BluelightError } from '../../base/errors.js';
import { writeFileAtomic } from '../../base/files.js';
import type { Log } from '../../base/log.js';
import type { ClaimFile } from '../../contract/messages.js';
import type { Anchor } from '../../contract/evidence.js';
import { slug } from '../../contract/primitives.js';
import { startBroker } from './broker.js';
import { CenterDb, type BoxRecord, type CheckpointRecord, type ClipRecord, type StoredEvent } from './db.js';
import { Desk } from './desk.js';
import { Proofs } from './proofs.js';
import { startHttp, type Changes } from './http.js';
import { centerKeys } from './keys.js';
import { proposalBody, requestBody, Requests, type JobRecord, type Operator, type RequestBody } from './requests.js';
import { Uploads } from './uploads.js';

export type { BoxRecord, CheckpointRecord, ClipRecord, StoredEvent } from './db.js';
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
  /** What a technician brings to the box. */
  claimFile(site: string, box: string): ClaimFile;
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
  const { signer, passwordOf } = centerKeys(dir);
  const db = new CenterDb(join(dir, 'center.db'));
  const changes = new ChangeList();
  const embedded =
    options.broker === undefined
      ? await startBroker({ clock, log, host, port: options.mqttPort ?? 0, passwordOf, centerUser: CENTER_USER })
      : undefined;
  const changed = (): void => changes.tell();
  const requests = new Requests(db, signer, clock);
  const uploads = new Uploads({ clock, log, dir, db, signer, changed, maxBytes: options.maxClipBytes ?? 4e9 });
  const http = await startHttp({
    log,
    host,
    port: options.httpPort ?? 0,
    db,
    uploads,
    requests,
    pagesDir: options.pagesDir ?? fileURLToPath(new URL('./pages', import.meta.url)),
    now: () => clock.now(),
    center: { id, publicKey: signer.keyId },
    changes,
  });
  const own = { username: CENTER_USER, password: passwordOf(CENTER_USER) };
  const broker = options.broker ?? { url: `mqtt://${bracket(host)}:${embedded!.port}`, ...own };
  const onAnchor = (clip: string, anchor: Anchor): void => uploads.keepAnchor(clip, anchor);
  const proofs = new Proofs({ clock, db, onAnchor });
  const desk = new Desk({ clock, log, id, signer, db, proofs, requests, broker, changed });
  if (embedded !== undefined) await desk.ready();

  const shown = bracket(options.publicHost ?? host);
  const brokerUrl = embedded === undefined ? broker.url : `mqtt://${shown}:${embedded.port}`;
  const uploadUrl = `http://${shown}:${http.port}/upload`;
  return {
    brokerUrl,
    uploadUrl,
    consoleUrl: `http://${shown}:${http.port}/`,
    publicKey: signer.keyId,
    claimFile(site, box) {
      const user = checkedUser(site, box);
      const login = embedded === undefined ? {} : { username: user, password: passwordOf(user) };
      const center = { id, broker: brokerUrl, upload: uploadUrl, key: signer.keyId, ...login };
      const file: ClaimFile = { schema: 1, site, box, center };
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
