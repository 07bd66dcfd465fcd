import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { rotation, ROTATION_TYPE } from '../contract/enrolment.js';
import { toUtc } from '../contract/primitives.js';
import { openJws, signJws } from '../proof/jws.js';
import { publicKeyFromText, publicKeyText, signerFromKey, type Signer } from '../proof/keys.js';
import type { TableCalls } from '../store/calls.js';

export const BOX_KEY_FILE = 'box.key';
/** A new key that is not yet in the place of the old one. */
export const NEXT_KEY_FILE = 'box-next.key';

/**
 * Gives the box a new key. The statement that says so is signed by the old one and is for the center; it can be had
 * again from the table of keys. A power cut at any point leaves the old key or the new one in force, never none.
 */
export async function rotateBoxKey(
  tables: Pick<TableCalls, 'files' | 'keys'>,
  clock: Clock,
  old: Signer,
  box: { site: string; box: string },
): Promise<{ signer: Signer & { key: KeyObject }; statement: string }> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const text = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const key = createPrivateKey(text);
  const signer = { ...signerFromKey(key), key };
  const at = clock.now();
  const statement = signJws(
    ROTATION_TYPE,
    { schema: 1, role: 'box', ...box, from: old.keyId, to: signer.keyId, at: toUtc(at) },
    old,
  );
  // The order is the point: first the key is safe on disk, then it counts, then it takes the place of the old file.
  await tables.files.put({ name: NEXT_KEY_FILE, text });
  await tables.keys.install({ kid: signer.keyId, role: 'box', statement, atMs: at });
  await tables.files.put({ name: BOX_KEY_FILE, text });
  return { signer, statement };
}

/**
 * Takes the new key of the center, if its old one says so. Gives the key.
 * @throws BluelightError as `openJws`; ROTATION_FOREIGN: for another box, role or key; KEY_USED
 */
export async function rotateCenterKey(
  tables: Pick<TableCalls, 'keys'>,
  clock: Clock,
  statement: string,
  box: { site: string; box: string },
): Promise<string> {
  const current = await tables.keys.current('center');
  const { payload } = openJws(statement, { type: ROTATION_TYPE, trusted: current === null ? [] : [current.kid] });
  const said = rotation.safeParse(payload);
  const fits =
    said.success &&
    said.data.role === 'center' &&
    said.data.from === current?.kid &&
    said.data.site === box.site &&
    said.data.box === box.box;
  if (!fits) {
    throw new BluelightError('ROTATION_FOREIGN', 'this change of keys is not for the center of this box', {
      fix: 'the center must sign it anew for this box',
    });
  }
  const kid = publicKeyText(publicKeyFromText(said.data.to));
  await tables.keys.install({ kid, role: 'center', statement, atMs: clock.now() });
  return kid;
}
