import { BluelightError, errorMessage } from '../base/errors.js';
import { signedManifest } from '../contract/clip.js';
import { openEnvelope, signEnvelope, type Envelope } from '../proof/dsse.js';
import type { Signer } from '../proof/keys.js';
import type { TableCalls } from '../store/calls.js';
import type { StoredPolicy } from '../store/policies.js';
import { readPolicy, type ReadPolicy } from './document.js';

/** DSSE payload type of terms. What is signed is the exact text of the document. */
export const POLICY_TYPE = 'application/vnd.bluelight.policy.v1+json';

export function signPolicy(text: string, signer: Signer): Envelope {
  return signEnvelope(POLICY_TYPE, Buffer.from(text, 'utf8'), signer);
}

export interface SignedPolicy extends ReadPolicy {
  text: string;
  keyId: string;
  envelope: Envelope;
}

/**
 * Terms that the authority they name has signed: the owner at a store, the city at a site of the city.
 * @throws BluelightError as `openEnvelope` and `readPolicy`; NO_AUTHORITY: nobody has set up that authority's key
 */
export async function openSigned(envelope: unknown, keys: Pick<TableCalls, 'keys'>['keys']): Promise<SignedPolicy> {
  const checked = signedManifest.safeParse(envelope);
  if (!checked.success) {
    throw new BluelightError('POLICY_INVALID', 'this is not a signed document', {
      fix: 'give the file as the authority signed it',
      cause: checked.error,
    });
  }
  const owner = (await keys.current('owner'))?.kid;
  const city = (await keys.current('city'))?.kid;
  const trusted = [owner, city].filter((kid) => kid !== undefined);
  const { payload, keyId } = openEnvelope(checked.data, { payloadType: POLICY_TYPE, trusted });
  const text = Buffer.from(payload).toString('utf8');
  const read = readPolicy(text, 'the signed terms');
  // The city cannot sign as the owner, nor the owner as the city.
  if (keyId !== (read.document.authority === 'owner' ? owner : city)) {
    throw new BluelightError('WRONG_AUTHORITY', `these terms are the ${read.document.authority}'s to sign`, {
      fix: `let the ${read.document.authority} sign them`,
    });
  }
  return { ...read, text, keyId, envelope: checked.data };
}

/**
 * Terms out of the database, checked as if they came from outside: whoever can write into the file cannot consent.
 * @throws BluelightError POLICY_UNSIGNED
 */
export async function openStored(stored: StoredPolicy, keys: Pick<TableCalls, 'keys'>['keys']): Promise<SignedPolicy> {
  try {
    return await openSigned(stored.envelope, keys);
  } catch (error) {
    throw new BluelightError(
      'POLICY_UNSIGNED',
      `the stored terms (version ${stored.version}) do not carry a good signature: ${errorMessage(error)}`,
      { fix: 'the owner must consent again: `bluelight policy accept`', cause: error },
    );
  }
}
