import type { Clock } from '../base/clock.js';
import { ulid } from '../base/ids.js';
import { RECEIPT_TYPE, type Receipt } from '../contract/receipt.js';
import { toUtc } from '../contract/primitives.js';
import { canonicalBytes } from '../proof/canonical.js';
import { signEnvelope, type Envelope } from '../proof/dsse.js';
import type { Signer } from '../proof/keys.js';
import type { TableCalls } from '../store/calls.js';

export interface ReceiptPorts {
  tables: Pick<TableCalls, 'receipts' | 'audit'>;
  /** The key of the box. */
  signer(): Signer;
  place(): { site: string; box: string };
  clock: Clock;
}

export interface IssuedReceipt {
  id: string;
  receipt: Receipt;
  envelope: Envelope;
}

/** Makes, signs and keeps a receipt. */
export async function issueReceipt(
  ports: ReceiptPorts,
  said: Pick<Receipt, 'kind' | 'by' | 'policy' | 'words'> &
    Partial<Pick<Receipt, 'delivered' | 'looks' | 'adds' | 'site' | 'box'>>,
): Promise<IssuedReceipt> {
  const now = ports.clock.now();
  const signer = ports.signer();
  const receipt: Receipt = {
    type: 'bluelight/receipt/v1',
    id: ulid(now),
    ...ports.place(),
    key: signer.keyId,
    at: toUtc(now),
    delivered: [],
    looks: [],
    ...said,
    audit: await ports.tables.audit.head(),
  };
  const envelope = signEnvelope(RECEIPT_TYPE, canonicalBytes(receipt), signer);
  await ports.tables.receipts.add({ id: receipt.id, kind: receipt.kind, envelope, madeMs: now });
  return { id: receipt.id, receipt, envelope };
}
