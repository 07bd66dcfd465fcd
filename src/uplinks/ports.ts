import type { SignedManifest } from '../contract/clip.js';
import type { DeliveryReceipt } from '../contract/upload.js';

export type { LinkConfig, LinkKind } from '../settings/links.js';

/** What bytes are spent on: a class of the byte ledger. `other`: on the wire, but through no socket of ours. */
export type Purpose = 'mqtt' | 'clips' | 'live' | 'dns' | 'probe' | 'other';

export interface DialTarget {
  host: string;
  port: number;
  /** Undefined: plain TCP. */
  tls?: { servername: string; ca?: string };
  purpose: Purpose;
}

/** A file that is to reach the center. Its bytes are read as they are needed. */
export interface UploadJob {
  clip: string;
  box: string;
  fileName: string;
  /** False: it may go on when the budget of its link is spent. */
  budgeted: boolean;
  bytes: number;
  sha256: string;
  manifest: SignedManifest;
  /** Where an earlier attempt had got to: its address at the target, and what the target had taken by then. */
  url: string | null;
  offset: number;
  /** Aborts at once; the target keeps what it has. */
  signal: AbortSignal;
  read: (offset: number, length: number) => Promise<Uint8Array>;
  /** To be remembered across restarts before more is sent. */
  onProgress: (at: { url: string | null; offset: number }) => Promise<void>;
}

export type UploadOutcome =
  /** `receipt`: the center's signed word; null where the target is a store that signs nothing. */
  | { state: 'delivered'; receipt: DeliveryReceipt | null }
  | { state: 'stopped'; why?: string }
  | {
      state: 'failed';
      code: string;
      message: string;
      /** False: trying again changes nothing until somebody does something. */
      retryable: boolean;
      /** What the target holds of it is of no use: begin at byte 0. */
      restart: boolean;
      retryAfterMs: number | null;
    };

/** What one attempt to bring the bytes over came to; whether they are delivered is judged after it. */
export type Sent = { state: 'complete' } | Exclude<UploadOutcome, { state: 'delivered' }>;
