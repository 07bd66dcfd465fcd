import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { BluelightError } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import { signerFromKey, type Signer } from '../proof/keys.js';
import type { TableCalls } from '../store/calls.js';

export const BOX_KEY_FILE = 'box.key';
/** A new key that is not yet in the place of the old one, see rotation. */
export const NEXT_KEY_FILE = 'box-next.key';

/** The ring thread signs too, and may never wait for another: it gets the key itself, as a handle of node:crypto. */
export interface BoxKey extends Signer {
  readonly key: KeyObject;
}

const RESTORE =
  'restore it from the backup of this box; without state_dir this is a new box that must be claimed again';

/**
 * The key of this box: Ed25519, made here on the first start, PKCS #8 PEM with mode 0600. There is no default key
 * and no way to bring one along: what is signed with it was signed by this box.
 * @throws BluelightError BOX_KEY_BAD: the file is there but is no such key
 */
export async function boxKey(tables: Pick<TableCalls, 'files' | 'keys'>, clock: Clock): Promise<BoxKey> {
  const kept = await tables.files.get(BOX_KEY_FILE);
  const signer = read(kept ?? (await tables.files.putIfAbsent({ name: BOX_KEY_FILE, text: fresh() })));
  const current = await tables.keys.current('box');
  if (current !== null && current.kid !== signer.keyId) return finishRotation(tables, current.kid);
  // Idempotent: a power cut between file and table heals here.
  await tables.keys.install({ kid: signer.keyId, role: 'box', atMs: clock.now() });
  return signer;
}

/** The table names another key than the file: a rotation was cut off before its last step, or the file was swapped. */
async function finishRotation(tables: Pick<TableCalls, 'files'>, kid: string): Promise<BoxKey> {
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

function read(pem: string): BoxKey {
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
