import type { SignedManifest } from '../contract/clip.js';
import type { DeliveryReceipt } from '../contract/upload.js';

/** One way out of the box. */
export interface LinkConfig {
  /** Name in settings, ledger and status. */
  id: string;
  kind: 'fiber' | 'cable' | 'cellular' | 'wifi-bridge';
  /** Source address of its sockets; undefined: what the routing table says. */
  localAddress?: string;
}

/** What bytes are spent on: a class of the byte ledger. */
export type Purpose = 'mqtt' | 'clips';

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
  bytes: number;
  sha256: string;
  manifest: SignedManifest;
  /** Where an earlier attempt had got to: its address at the center, and what the center had taken by then. */
  url: string | null;
  offset: number;
  /** Aborts at once; the center keeps what it has. */
  signal: AbortSignal;
  read: (offset: number, length: number) => Promise<Uint8Array>;
  /** To be remembered across restarts before more is sent. */
  onProgress: (at: { url: string | null; offset: number }) => Promise<void>;
}

export type UploadOutcome =
  | { state: 'delivered'; receipt: DeliveryReceipt }
  | { state: 'stopped' }
  | {
      state: 'failed';
      code: string;
      message: string;
      /** False: trying again changes nothing until somebody does something. */
      retryable: boolean;
      /** What the center holds of it is of no use: begin at byte 0. */
      restart: boolean;
      retryAfterMs: number | null;
    };

export interface LinkStatus {
  id: string;
  kind: LinkConfig['kind'];
  /** Since the agent started, wire bytes (TLS included, TCP and IP headers not). */
  sent: number;
  received: number;
  connections: number;
  lastError: string | null;
}
