import type { Manifest } from '../contract/clip.js';
import type { Envelope } from '../contract/evidence.js';

/** Bytes of the file that is checked; large files are read in pieces. */
export interface ClipBytes {
  size: number;
  /** Up to `length` bytes; fewer only at the end. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

export type FindingCode =
  | 'HASH'
  | 'TRUNCATED'
  | 'EXTRA_BYTES'
  | 'LAYOUT'
  | 'BAD_MANIFEST'
  | 'WRONG_TYPE'
  | 'BAD_BASE64'
  | 'BAD_SIGNATURE'
  | 'UNTRUSTED_KEY'
  | 'RECORD_MISMATCH'
  | 'SEQ_GAP'
  | 'CHAIN_BREAK'
  | 'WRONG_STREAM'
  | 'ORDER'
  | 'WRONG_CAMERA'
  | 'WRONG_TIME'
  | 'CHECKPOINT_MISMATCH'
  | 'NOT_ANCHORED'
  | 'GAP'
  | 'RECOVERED'
  | 'CLOCK'
  | 'DERIVED';

/** `tampered`: not what the box signed. `unknown`: cannot be told. `note`: what a reader of the footage should know. */
export interface Finding {
  code: FindingCode;
  level: 'tampered' | 'unknown' | 'note';
  message: string;
  /** Sequence number of the segment, where one is meant. */
  segment?: number;
  /** In the file. */
  offset?: number;
}

export type Verdict = 'authentic' | 'authentic_completeness_not_proven' | 'tampered' | 'cannot_tell';

export interface VerifyReport {
  verdict: Verdict;
  findings: Finding[];
  /** The key whose signature fits; null when none does. */
  keyId: string | null;
  manifest: Manifest | null;
}

export interface VerifyInput {
  file: ClipBytes;
  /** The parsed JSON of the signed manifest, or its text. */
  signed: unknown;
  /** Public keys (base64url) that are known to belong to the box; none: the verdict is at best `cannot_tell`. */
  trusted: readonly string[];
  /** What the footage is claimed to show; `WRONG_CAMERA` and `WRONG_TIME` when it does not. */
  expect?: { camera?: string; fromMs?: number; toMs?: number };
  /** The anchor that came after the manifest (contract/evidence), as text or parsed. */
  anchor?: unknown;
  /** Checkpoints that came another way than with the clip (from the center). */
  checkpoints?: readonly Envelope[];
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}
