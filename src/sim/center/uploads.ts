import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';
import type { Clock } from '../../base/clock.js';
import { BluelightError, errorCode, toErrorData } from '../../base/errors.js';
import { writeFileAtomic } from '../../base/files.js';
import { ulid } from '../../base/ids.js';
import type { Log } from '../../base/log.js';
import { manifest as manifestSchema, signedManifest, type Manifest, type SignedManifest } from '../../contract/clip.js';
import type { Anchor } from '../../contract/evidence.js';
import { toUtc } from '../../contract/primitives.js';
import { MANIFEST_TYPE, RECEIPT_TYPE, type ClipConfirmation, type DeliveryReceipt } from '../../contract/upload.js';
import { canonical } from '../../proof/canonical.js';
import { openEnvelope } from '../../proof/dsse.js';
import { parseUnique } from '../../proof/json.js';
import { signJws } from '../../proof/jws.js';
import type { Signer } from '../../proof/keys.js';
import type { CenterDb } from './db.js';
import type { ClipRecord } from './records.js';

export interface UploadsOptions {
  clock: Clock;
  log: Log;
  dir: string;
  db: CenterDb;
  signer: Signer;
  /** The key of a box and those before it: what waited through a rotation was signed with one of them. */
  keysOf(site: string, box: string): string[];
  changed: () => void;
  maxBytes: number;
}

/** tus's own status for a checksum that does not fit (1.0, checksum extension). */
const CHECKSUM_MISMATCH = 460;

const FILE_END = /\.(mp4|jpg)$/;

/** Receives clips: manifest first, then the file by tus; believes nothing but its own hash. See contract/upload. */
export class Uploads {
  readonly tus: Server;
  readonly #o: UploadsOptions;
  readonly #store: FileStore;
  readonly #finishing = new Map<string, Promise<void>>();

  constructor(options: UploadsOptions) {
    this.#o = options;
    this.#store = new FileStore({ directory: join(options.dir, 'uploads') });
    this.tus = new Server({
      path: '/upload/files',
      relativeLocation: true,
      datastore: this.#store,
      maxSize: options.maxBytes,
      namingFunction: (_request, metadata) => `${metadata?.['clip'] ?? 'none'}-${ulid(options.clock.now())}`,
      onUploadCreate: (_request, upload) => this.#create(upload),
      onUploadFinish: (_request, upload) => this.#finish(upload),
      onResponseError: (_request, error) => {
        const data = 'status_code' in error ? error.body.trim() : toErrorData(error).message;
        options.log.warn({ error: data }, 'an upload request was refused');
        return undefined;
      },
    });
  }

  /** Where the file of a delivered clip lies. */
  path(clip: ClipRecord): string {
    const end = clip.manifest.derived === undefined ? 'mp4' : 'jpg';
    return join(this.#o.dir, 'clips', clip.site, clip.box, `${clip.clip}.${end}`);
  }

  /**
   * Takes a manifest in, if the enrolled key of the box signed it.
   * @throws BluelightError UNKNOWN_BOX | BAD_MANIFEST and what openEnvelope throws
   */
  async announce(clipId: string, body: unknown): Promise<ClipConfirmation> {
    const envelope = signedManifest.parse(body);
    const claimed = readManifest(Buffer.from(envelope.payload, 'base64'));
    const box = this.#o.db.box(claimed.site, claimed.box);
    if (box?.key === undefined || box.key === null) {
      throw new BluelightError('UNKNOWN_BOX', `no box ${claimed.site}/${claimed.box} has said hello yet`, {
        retryable: true,
      });
    }
    const { payload, keyId } = openEnvelope(envelope, {
      payloadType: MANIFEST_TYPE,
      trusted: this.#o.keysOf(claimed.site, claimed.box),
    });
    const manifest = readManifest(payload);
    if (manifest.clip !== clipId || manifest.key !== keyId) {
      throw new BluelightError('BAD_MANIFEST', 'the manifest is for another clip or names another key');
    }
    const known = this.#o.db.clip(clipId);
    if (known !== undefined && (known.site !== manifest.site || known.box !== manifest.box)) {
      throw new BluelightError('BAD_MANIFEST', 'this clip belongs to another box');
    }
    if (known?.state === 'delivered') return this.#confirmation(known);
    await this.#save(known, manifest, envelope);
    return this.confirm(clipId);
  }

  /** Beside the delivered file, where `bluelight verify` looks for it; canonical, so that records stand as hashed. */
  keepAnchor(clipId: string, anchor: Anchor): void {
    const clip = this.#o.db.clip(clipId);
    if (clip?.state !== 'delivered') return;
    writeFileAtomic(this.path(clip).replace(FILE_END, '.anchor.json'), canonical(anchor));
  }

  /** @throws BluelightError UNKNOWN_CLIP */
  async confirm(clipId: string): Promise<ClipConfirmation> {
    const clip = this.#o.db.clip(clipId);
    if (clip === undefined) throw new BluelightError('UNKNOWN_CLIP', `there is no clip ${clipId}`);
    return this.#confirmation(clip);
  }

  async #save(known: ClipRecord | undefined, manifest: Manifest, envelope: SignedManifest): Promise<void> {
    // Another file under the same clip id (the box made it anew): what was begun is of no use.
    const same = known?.manifest.file.sha256 === manifest.file.sha256;
    if (known !== undefined && known.upload !== null && !same) await this.#drop(known.upload);
    this.#o.db.saveClip({
      clip: manifest.clip,
      site: manifest.site,
      box: manifest.box,
      camera: manifest.camera,
      manifest,
      envelope,
      state: same && known?.upload !== null && known?.upload !== undefined ? 'receiving' : 'expected',
      upload: same ? (known?.upload ?? null) : null,
      receipt: null,
      announcedAt: known?.announcedAt ?? this.#o.clock.now(),
      deliveredAt: null,
    });
    this.#o.changed();
  }

  async #confirmation(known: ClipRecord): Promise<ClipConfirmation> {
    let clip = known;
    let { offset, upload } = await this.#progress(clip);
    if (clip.upload !== null && offset === clip.manifest.file.bytes) {
      // Everything arrived, but we were stopped before it was checked.
      await this.#finish({ id: clip.upload, metadata: { clip: clip.clip } }).catch((error: unknown) => {
        this.#o.log.warn({ clip: known.clip, error: toErrorData(error) }, 'a complete upload was refused');
      });
      clip = this.#o.db.clip(clip.clip) ?? clip;
      ({ offset, upload } = await this.#progress(clip));
    }
    return { schema: 1, clip: clip.clip, state: clip.state, upload, offset, receipt: clip.receipt };
  }

  async #progress(clip: ClipRecord): Promise<{ offset: number; upload: string | null }> {
    if (clip.state === 'delivered') return { offset: clip.manifest.file.bytes, upload: null };
    if (clip.upload === null) return { offset: 0, upload: null };
    try {
      const { offset } = await this.#store.getUpload(clip.upload);
      return { offset, upload: `/upload/files/${clip.upload}` };
    } catch (error) {
      this.#o.log.warn({ clip: clip.clip, error: toErrorData(error) }, 'a begun upload is gone');
      return { offset: 0, upload: null };
    }
  }

  /** tus creation: only a file that a manifest announced, and only with the announced size and hash. */
  async #create(upload: TusUpload): Promise<{ metadata?: Record<string, string | null> }> {
    const clip = this.#o.db.clip(upload.metadata?.['clip'] ?? '');
    if (clip === undefined) throw refusal(403, 'NO_MANIFEST', 'the manifest of this clip was not sent ahead');
    if (clip.state === 'delivered') throw refusal(409, 'ALREADY_DELIVERED', 'this clip is already here');
    const { bytes, sha256 } = clip.manifest.file;
    if (upload.size !== bytes || upload.metadata?.['sha256'] !== sha256) {
      throw refusal(409, 'NOT_AS_ANNOUNCED', 'size or SHA-256 are not those of the manifest');
    }
    if (clip.upload !== null) await this.#drop(clip.upload);
    this.#o.db.saveClip({ ...clip, upload: upload.id, state: 'receiving' });
    this.#o.changed();
    return {};
  }

  /** Once per upload, whoever asks. */
  async #finish(upload: TusUpload): Promise<{ headers?: Record<string, string> }> {
    const running = this.#finishing.get(upload.id) ?? this.#check(upload);
    this.#finishing.set(upload.id, running);
    await running.finally(() => this.#finishing.delete(upload.id));
    return {};
  }

  /** Hashes what lies on our own disk. Only then, synced and moved to its place, it is delivered. */
  async #check(upload: TusUpload): Promise<void> {
    const clip = this.#o.db.clip(upload.metadata?.['clip'] ?? '');
    if (clip?.upload !== upload.id) throw refusal(410, 'SUPERSEDED', 'another upload of this clip has begun since');
    const from = join(this.#o.dir, 'uploads', upload.id);
    const sha256 = await hashFile(from);
    if (sha256 !== clip.manifest.file.sha256) {
      this.#o.db.saveClip({ ...clip, upload: null, state: 'expected' });
      await this.#drop(upload.id);
      this.#o.changed();
      throw refusal(CHECKSUM_MISMATCH, 'HASH_MISMATCH', 'what arrived is not what the manifest describes');
    }
    await this.#keep(from, clip);
    const at = this.#o.clock.now();
    const { bytes } = clip.manifest.file;
    const receipt: DeliveryReceipt = { schema: 1, box: clip.box, clip: clip.clip, bytes, sha256, at: toUtc(at) };
    this.#o.db.saveClip({
      ...clip,
      state: 'delivered',
      upload: null,
      deliveredAt: at,
      receipt: signJws(RECEIPT_TYPE, receipt, this.#o.signer),
    });
    this.#o.changed();
  }

  async #keep(from: string, clip: ClipRecord): Promise<void> {
    const to = this.path(clip);
    await mkdir(join(to, '..'), { recursive: true });
    const handle = await open(from, 'r');
    await handle.sync();
    await handle.close();
    await rename(from, to);
    await rm(`${from}.json`, { force: true });
    const sidecar = await open(to.replace(FILE_END, '.manifest.json'), 'w');
    await sidecar.writeFile(`${JSON.stringify(clip.envelope)}\n`);
    await sidecar.sync();
    await sidecar.close();
    const dir = await open(join(to, '..'), 'r');
    await dir.sync();
    await dir.close();
  }

  async #drop(id: string): Promise<void> {
    const path = join(this.#o.dir, 'uploads', id);
    await rm(path, { force: true });
    await rm(`${path}.json`, { force: true });
  }
}

interface TusUpload {
  id: string;
  size?: number;
  metadata?: Record<string, string | null>;
}

function readManifest(payload: Uint8Array): Manifest {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
  const parsed = manifestSchema.safeParse(parseUnique(text));
  if (!parsed.success) throw new BluelightError('BAD_MANIFEST', `the manifest is not one: ${parsed.error.message}`);
  return parsed.data;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** What @tus/server expects to be thrown by a hook. */
function refusal(status: number, code: string, message: string): Error & { status_code: number; body: string } {
  const error = new BluelightError(code, message);
  return Object.assign(error, { status_code: status, body: `${JSON.stringify({ code, detail: message, status })}\n` });
}

export function problemStatus(error: unknown): number {
  const code = errorCode(error);
  if (code === 'UNKNOWN_CLIP') return 404;
  if (code === 'UNKNOWN_BOX') return 503;
  if (code === 'UNTRUSTED_KEY' || code === 'BAD_SIGNATURE') return 403;
  return 400;
}
