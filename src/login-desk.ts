import type { Clock } from './base/clock.js';
import { BluelightError } from './base/errors.js';
import type { Party } from './contract/policy.js';
import { toUtc } from './contract/primitives.js';
import type { Logins } from './identity/logins.js';
import { partyColumns } from './policy/audit-note.js';
import type { Gate } from './policy/gate.js';
import type { LoginsPort } from './web/ports.js';

export interface LoginDeskOptions {
  clock: Clock;
  logins: Logins;
  gate: Pick<Gate, 'note'>;
  /** @throws BluelightError FORBIDDEN | PASSPHRASE_WRONG: there is an owner, and this is not his word */
  ownersWord(by: Party, passphrase: string | undefined): Promise<void>;
  /** How long a new code is good. */
  technicianMs: number;
}

/** Who may log in, as the page and the command line reach it. */
export function loginDesk(o: LoginDeskOptions): LoginsPort {
  const { clock, logins, gate } = o;
  const note = (by: Party, action: string, reason: string): Promise<void> =>
    gate.note({ kind: 'login', outcome: 'done', ...partyColumns(by), door: 'page', action, reason });
  return {
    async list() {
      return (await logins.list()).map(({ name, role, createdMs, expiresMs }) => ({
        name,
        role,
        createdAt: toUtc(createdMs),
        expiresAt: expiresMs === null ? null : toUtc(expiresMs),
      }));
    },
    async technicianCode(forMs, by) {
      // Else a visit would never end: he could always give himself another.
      if (by.kind === 'local' && by.role === 'technician' && by.name !== 'socket') {
        throw new BluelightError('FORBIDDEN', 'a technician cannot give himself a new code', {
          fix: 'the owner gives one on his page, or somebody at the box: `bluelight login technician`',
        });
      }
      const expiresMs = clock.now() + (forMs ?? o.technicianMs);
      const code = await logins.newTechnicianCode(expiresMs);
      await note(by, 'technician', `a new code for the technician, good until ${toUtc(expiresMs)}`);
      return { code, expiresAt: toUtc(expiresMs) };
    },
    async setViewer(name, password, passphrase, by) {
      await o.ownersWord(by, passphrase);
      await logins.setPassword(name, 'viewer', password);
      await note(by, 'viewer', `${name} may look`);
    },
    async remove(name, passphrase, by) {
      await o.ownersWord(by, passphrase);
      const login = (await logins.list()).find((one) => one.name === name);
      if (login === undefined) {
        throw new BluelightError('NOT_FOUND', `there is no login "${name}"`, { fix: 'see `bluelight login list`' });
      }
      if (login.role === 'owner') {
        throw new BluelightError('FORBIDDEN', 'the login of the owner goes with his key only', {
          fix: 'if the passphrase is lost: `bluelight policy owner-lost`, which ends sharing',
        });
      }
      await logins.remove(name);
      await note(by, 'remove', `${name} may no longer log in`);
    },
  };
}
