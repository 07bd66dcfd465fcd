import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ulid } from '../../src/base/ids.js';
import { prepare, type PrepareOptions } from '../../src/clips/prepare.js';
import type { Manifest, SignedManifest } from '../../src/contract/clip.js';
import type { Anchor } from '../../src/contract/evidence.js';
import type { Grant } from '../../src/contract/grant.js';
import { toUtc } from '../../src/contract/primitives.js';
import { canonical } from '../../src/proof/canonical.js';
import { signerFromKey, type Signer } from '../../src/proof/keys.js';
import { Footage } from '../../src/ring/footage.js';
import type { StoredClip } from '../../src/store/clips.js';
import { Rig } from '../ring/support/rig.js';

/** A clip as a center or a person gets it. */
export interface Delivered {
  bytes: Buffer;
  signed: SignedManifest;
  manifest: Manifest;
  /** Public key of the box. */
  key: string;
}

export const newSigner = (): Signer => signerFromKey(generateKeyPairSync('ed25519').privateKey);

/** A box that records one camera into a real ring and delivers clips of it, by the product's own way. */
export class EvidenceBox {
  readonly signer = newSigner();
  readonly rig: Rig;
  readonly startMs: number;

  constructor(options: { segmentMs?: number; directory?: string } = {}) {
    this.rig = new Rig({ signer: this.signer, ...options }).open();
    this.startMs = this.rig.clock.wall;
    this.rig.begin('door.main');
  }

  record(seconds: number): this {
    this.rig.record(seconds);
    return this;
  }

  /** The camera is away for a while. */
  gap(seconds: number): this {
    this.rig.end('door.main', 'camera_offline');
    this.rig.clock.pass(seconds * 1000);
    this.rig.begin('door.main');
    return this;
  }

  checkpoint(): SignedManifest {
    return this.rig.ring.checkpoint({ site: 'north', box: 'box-1', audit: null });
  }

  /** Seconds since the start of the box. */
  async deliver(fromS: number, toS: number): Promise<Delivered> {
    const at = (seconds: number): string => toUtc(this.startMs + seconds * 1000);
    const clip = { ...CLIP, id: ulid(this.rig.clock.wall), from: at(fromS), to: at(toS) } as StoredClip;
    const who = { party: { kind: 'operator', operator: '7', agency: 'city', role: 'rtcc' }, door: 'mqtt' } as const;
    const prepared = await prepare(this.#options(), clip, who, new AbortController().signal);
    if (prepared.do === 'split') {
      const { startMs, endMs } = prepared.first;
      const first = { ...clip, covers: { fromMs: startMs, toMs: endMs } };
      const ready = await prepare(this.#options(), first, who, new AbortController().signal);
      if (ready.do === 'ready') return this.#delivered(ready);
    }
    if (prepared.do !== 'ready') throw new Error(`not ready: ${JSON.stringify(prepared)}`);
    return this.#delivered(prepared);
  }

  /** What comes after a clip that left before its checkpoint. */
  anchor(clip: Delivered): Anchor {
    const anchor = this.rig.ring.anchor('door.main', clip.manifest.segments.at(-1)!.seq);
    if (anchor === undefined || anchor === null) throw new Error('no checkpoint has been made since');
    return anchor;
  }

  remove(): void {
    this.rig.remove();
  }

  get footage(): Footage {
    const { ring, clock } = this.rig;
    return new Footage(
      {
        coverage: async ({ stream, fromMs, toMs }) => ring.coverage(stream, fromMs, toMs),
        plan: async ({ stream, fromMs, toMs }) => ring.plan(stream, fromMs, toMs),
        outline: async ({ stream, fromMs, toMs }) => ring.outline(stream, fromMs, toMs),
        readInit: async (hash) => ring.readInit(hash),
        read: (ask) => ring.read(ask),
      },
      clock,
    );
  }

  #options(): PrepareOptions {
    const { rig, footage } = this;
    const { clock } = rig;
    const grant = { kind: 'clip', signal: new AbortController().signal, expiresAtMono: Infinity };
    return {
      clock,
      footage,
      signer: this.signer,
      site: 'north',
      box: 'box-1',
      gate: {
        authorise: async ({ camera, range }) => ({ ...grant, id: ulid(clock.wall), camera, range }) as unknown as Grant,
        finished: async () => undefined,
      },
      cameraName: () => 'Café, Haupttür',
      clockOffsetMs: () => 12,
      policyVersion: () => 3,
      masks: () => [],
      stills: { take: () => Promise.reject(new Error('no picture is asked for here')) },
      closeWaitMs: 0,
    };
  }

  async #delivered(ready: Extract<Awaited<ReturnType<typeof prepare>>, { do: 'ready' }>): Promise<Delivered> {
    const bytes = Buffer.from(await ready.file.read(0, ready.file.bytes));
    const manifest = JSON.parse(Buffer.from(ready.manifest.payload, 'base64').toString()) as Manifest;
    return { bytes, signed: ready.manifest, manifest, key: this.signer.keyId };
  }
}

const CLIP = {
  camera: 'door',
  rendition: 'original',
  priority: 'routine',
  state: 'queued',
  reason: 'case 12: "theft", aisle 4',
  caseNo: null,
  covers: null,
  sha256: null,
  bytes: null,
  manifest: null,
};

/** Writes what was delivered as `NAME.mp4`, `NAME.manifest.json` and, if given, `NAME.anchor.json`. */
export function writeDelivered(dir: string, name: string, clip: Delivered, anchor?: Anchor): string {
  const path = join(dir, `${name}.mp4`);
  writeFileSync(path, clip.bytes);
  writeFileSync(join(dir, `${name}.manifest.json`), JSON.stringify(clip.signed));
  if (anchor !== undefined) writeFileSync(join(dir, `${name}.anchor.json`), canonical(anchor));
  return path;
}
