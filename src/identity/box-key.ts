import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { BluelightError } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import { signerFromKey, type Signer } from '../proof/keys.js';
import type { TableCalls } from '../store/calls.js';
import { BOX_KEY_FILE, NEXT_KEY_FILE, rotateBoxKey } from './rotation.js';

/** The ring thread signs too, and may never wait for another: it gets the key itself, as a handle of node:crypto. */
export interface HeldKey extends Signer {
  readonly key: KeyObject;
}

const RESTORE =
  'restore it from the backup of this box; without state_dir this is a new box that must be claimed again';

/** The key of this box for as long as the agent runs: whoever holds it signs with what counts now. */
export class BoxKey implements HeldKey {
  readonly #tables: Pick<TableCalls, 'files' | 'keys'>;
  readonly #clock: Clock;
  #signer: HeldKey;
  #statements: string[];

  private constructor(tables: Pick<TableCalls, 'files' | 'keys'>, clock: Clock, signer: HeldKey, statements: string[]) {
    this.#tables = tables;
    this.#clock = clock;
    this.#signer = signer;
    this.#statements = statements;
  }

  /** @throws BluelightError BOX_KEY_BAD */
  static async open(tables: Pick<TableCalls, 'files' | 'keys'>, clock: Clock): Promise<BoxKey> {
    const signer = await boxKey(tables, clock);
    return new BoxKey(tables, clock, signer, await statementsOf(tables));
  }

  get keyId(): string {
    return this.#signer.keyId;
  }

  get key(): KeyObject {
    return this.#signer.key;
  }

  sign(bytes: Uint8Array): Uint8Array {
    return this.#signer.sign(bytes);
  }

  /** How this key followed on those before it, oldest first, each signed by the key that gave way. */
  get statements(): readonly string[] {
    return this.#statements;
  }

  /** A new key; what the old one signed stays signed. @param place as the center knows the box */
  async rotate(place: { site: string; box: string }): Promise<{ before: string; after: string; statement: string }> {
    const before = this.keyId;
    const { signer, statement } = await rotateBoxKey(this.#tables, this.#clock, this.#signer, place);
    this.#signer = signer;
    this.#statements = await statementsOf(this.#tables);
    return { before, after: signer.keyId, statement };
  }
}

const MOST_STATEMENTS = 20;

async function statementsOf(tables: Pick<TableCalls, 'keys'>): Promise<string[]> {
  const keys = (await tables.keys.list()).filter((key) => key.role === 'box').sort((a, b) => a.sinceMs - b.sinceMs);
  return keys.flatMap((key) => key.statement ?? []).slice(-MOST_STATEMENTS);
}

/**
 * The key of this box: Ed25519, made here on the first start, PKCS #8 PEM with mode 0600. There is no default key
 * and no way to bring one along: what is signed with it was signed by this box.
 * @throws BluelightError BOX_KEY_BAD: the file is there but is no such key
 */
export async function boxKey(tables: Pick<TableCalls, 'files' | 'keys'>, clock: Clock): Promise<HeldKey> {
  const kept = await tables.files.get(BOX_KEY_FILE);
  const signer = read(kept ?? (await tables.files.putIfAbsent({ name: BOX_KEY_FILE, text: fresh() })));
  const current = await tables.keys.current('box');
  if (current !== null && current.kid !== signer.keyId) return finishRotation(tables, current.kid);
  // Idempotent: a power cut between file and table heals here.
  await tables.keys.install({ kid: signer.keyId, role: 'box', atMs: clock.now() });
  return signer;
}

/** The table names another key than the file: a rotation was cut off before its last step, or the file was swapped. */
async function finishRotation(tables: Pick<TableCalls, 'files'>, kid: string): Promise<HeldKey> {
  const text = await tables.files.get(NEXT_KEY_FILE);
  const signer = text === null ? null : read(text);
  if (text === null || signer?.keyId !== kid) {
    throw new BluelightError('BOX_KEY_BAD', `${BOX_KEY_FILE} in state_dir is not the key of this box`, {
      fix: RESTORE,
    });
  }
  await tables.files.put({ name: BOX_KEY_FILE, text });
  return signer;
}

function fresh(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function read(pem: string): HeldKey {
  try {
    const key = createPrivateKey(pem);
    return { ...signerFromKey(key), key };
  } catch (error) {
    throw new BluelightError('BOX_KEY_BAD', `${BOX_KEY_FILE} in state_dir does not hold an Ed25519 key`, {
      fix: RESTORE,
      cause: error,
    });
  }
}
