import type { IdentityBody } from './contract/identity.js';
import { toUtc } from './contract/primitives.js';
import { keyFingerprint } from './contract/enrolment.js';
import type { Enrolment } from './enrolment.js';
import type { BoxKey } from './identity/box-key.js';
import type { Store } from './store/client.js';
import type { IdentityPort } from './web/ports.js';

/** Keys and claim, as the page and the command line reach them. */
export function identityDesk(o: {
  store: Store;
  signer: BoxKey;
  enrolment: Enrolment;
  tls: { shown: IdentityBody['certificate'] };
}): IdentityPort {
  const { store, signer, enrolment } = o;
  return {
    async show() {
      const keys = await store.keys.list();
      const centerKey = keys.find((key) => key.role === 'center' && key.state === 'current')?.kid ?? null;
      return {
        key: signer.keyId,
        fingerprint: keyFingerprint(signer.keyId),
        claim: await enrolment.current(),
        centerKey,
        centerFingerprint: centerKey === null ? null : keyFingerprint(centerKey),
        keys: keys.map((key) => ({
          key: key.kid,
          role: key.role,
          state: key.state,
          since: toUtc(key.sinceMs),
          until: key.endedMs === null ? null : toUtc(key.endedMs),
          statement: key.role === 'box' || key.role === 'center' ? signedStatement(key.statement) : null,
        })),
        certificate: o.tls.shown,
      };
    },
    look: (address) => enrolment.look(address),
    claimFile: (file, by) => enrolment.claimFile(file, by),
    claimQr: (text, by) => enrolment.claimQr(text, by),
    claimCode: (body, by) => enrolment.claimCode(body, by),
    cancelClaim: (by) => enrolment.cancel(by),
    rotateKey: (by) => enrolment.rotateKey(by),
    obey: (message, by) => enrolment.obey(message, 'page', by),
  };
}

/** A key that came with a claim has the id of the claim there, which says nothing to anybody. */
function signedStatement(statement: string | null): string | null {
  return statement !== null && statement.includes('.') ? statement : null;
}
