import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';
import { publicKeyText as keyText, slug, utc, toUtc } from '../contract/primitives.js';
import { openJws, signJws } from '../proof/jws.js';
import { publicKeyFromText, publicKeyText, signerFromKey, type Signer } from '../proof/keys.js';
import type { TableCalls } from '../store/calls.js';
import { BOX_KEY_FILE, NEXT_KEY_FILE } from './box-key.js';

export const ROTATION_TYPE = 'bluelight-key-rotation+jws';

/** Signed by the key that gives way. */
export const rotation = z.strictObject({
  schema: z.literal(1),
  role: z.enum(['box', 'center']),
  site: slug,
  box: slug,
  from: keyText,
  to: keyText,
  at: utc,
});

/**
 * Gives the box a new key. The statement that says so is signed by the old one and is for the center; it can be had
 * again from the table of keys. A power cut at any point leaves the old key or the new one in force, never none.
 */
export async function rotateBoxKey(
  tables: Pick<TableCalls, 'files' | 'keys'>,
  clock: Clock,
  old: Signer,
  box: { site: string; box: string },
): Promise<{ signer: Signer; statement: string }> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const text = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const signer = signerFromKey(createPrivateKey(text));
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
