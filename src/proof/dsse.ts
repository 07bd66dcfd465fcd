import { BluelightError } from '../base/errors.js';
import type { Envelope } from '../contract/evidence.js';
import { publicKeyFromText, verifyEd25519, type Signer } from './keys.js';

export type { Envelope } from '../contract/evidence.js';

/** DSSE v1, "Pre-Authentication Encoding": `DSSEv1 SP len(type) SP type SP len(body) SP body`, lengths in bytes. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType, 'utf8');
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

export function signEnvelope(payloadType: string, payload: Uint8Array, signer: Signer): Envelope {
  const sig = signer.sign(preAuthEncoding(payloadType, payload));
  return {
    payloadType,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid: signer.keyId, sig: Buffer.from(sig).toString('base64') }],
  };
}

/**
 * The signed bytes, if one of the trusted keys signed them. `keyid` is only a hint of which key to try: what counts
 * is a signature that the trusted key itself verifies.
 * @throws BluelightError UNTRUSTED_KEY: nobody trusted claims to have signed; BAD_SIGNATURE: somebody trusted does,
 *   but the signature is not over these bytes; WRONG_TYPE: signed for another purpose; BAD_BASE64
 */
export function openEnvelope(
  envelope: Envelope,
  expect: { payloadType: string; trusted: readonly string[] },
): { payload: Uint8Array; keyId: string } {
  if (envelope.payloadType !== expect.payloadType) {
    throw new BluelightError('WRONG_TYPE', `signed as ${envelope.payloadType}, not as ${expect.payloadType}`);
  }
  const payload = strictBase64(envelope.payload);
  const claims = envelope.signatures.filter((s) => expect.trusted.includes(s.keyid));
  if (claims.length === 0) {
    throw new BluelightError(
      'UNTRUSTED_KEY',
      `signed with a key that is not trusted: ${envelope.signatures[0]?.keyid}`,
      {
        fix: 'compare the key with the one that the center enrolled for this box',
      },
    );
  }
  const bytes = preAuthEncoding(envelope.payloadType, payload);
  for (const claim of claims) {
    if (verifyEd25519(publicKeyFromText(claim.keyid), bytes, strictBase64(claim.sig))) {
      return { payload, keyId: claim.keyid };
    }
  }
  throw new BluelightError('BAD_SIGNATURE', `the signature of ${claims[0]!.keyid} does not fit the document`);
}

function strictBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text)
    throw new BluelightError('BAD_BASE64', 'the document is not base64 (RFC 4648 §4)');
  return bytes;
}
