import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { BluelightError } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import { signerFromKey, type Signer } from '../proof/keys.js';
import type { TableCalls } from '../store/calls.js';

const FILE = 'box.key';

/**
 * The key of this box: Ed25519, made here on the first start, PKCS #8 PEM with mode 0600. There is no default key
 * and no way to bring one along: what is signed with it was signed by this box.
 * @throws BluelightError BOX_KEY_BAD: the file is there but is no such key
 */
export async function boxKey(tables: Pick<TableCalls, 'files' | 'keys'>, clock: Clock): Promise<Signer> {
  const pem = (await tables.files.get(FILE)) ?? (await tables.files.putIfAbsent({ name: FILE, text: fresh() }));
  const signer = read(pem);
  // Idempotent: a power cut between file and table heals here.
  await tables.keys.install({ kid: signer.keyId, role: 'box', atMs: clock.now() });
  return signer;
}

function fresh(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function read(pem: string): Signer {
  try {
    return signerFromKey(createPrivateKey(pem));
  } catch (error) {
    throw new BluelightError('BOX_KEY_BAD', `${FILE} in state_dir does not hold an Ed25519 key`, {
      fix: 'restore it from the backup of this box; removing it makes this a new box that must be claimed again',
      cause: error,
    });
  }
}
