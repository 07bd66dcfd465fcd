import type { Clock } from './base/clock.js';
import { doorOf, partyColumns } from './policy/audit-note.js';
import type { Gate } from './policy/gate.js';
import { checkPassphrase, sealBackup } from './store/backup-file.js';
import type { Store } from './store/client.js';
import type { BackupPort } from './web/ports.js';

/** Backups of a running box. What is read in the thread of the store leaves this process only sealed. */
export function backupDesk({ store, gate, clock }: { store: Store; gate: Gate; clock: Clock }): BackupPort {
  return {
    async make(passphrase, by) {
      checkPassphrase(passphrase);
      const reason = 'the whole state of the box, sealed with a passphrase';
      const note = { kind: 'box', outcome: 'done', ...partyColumns(by), door: doorOf(by), action: 'backup', reason };
      // Before the copy is made, so that the copy tells of itself.
      await gate.note({ ...note, outcome: 'done' });
      return sealBackup({ madeMs: clock.now(), ...(await store.backup.snapshot()) }, passphrase);
    },
  };
}
