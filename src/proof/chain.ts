import { createHash } from 'node:crypto';
import type { PruneRecord, SegmentRecord } from '../contract/evidence.js';
import { canonical } from './canonical.js';

export type { SegmentRecord } from '../contract/evidence.js';

/** `prev` of the first record of a stream. */
export const GENESIS = '0'.repeat(64);

/** The domain separates segment records from everything else that is hashed. */
const DOMAIN = 'bluelight/seg/v1\n';

/** SHA-256 of the record and, through its `prev`, of every record before it; hexadecimal. */
export function recordLink(record: SegmentRecord): string {
  return createHash('sha256').update(DOMAIN).update(canonical(record)).digest('hex');
}

export interface ChainFinding {
  code: 'SEQ_GAP' | 'CHAIN_BREAK' | 'WRONG_STREAM' | 'ORDER';
  seq: number;
  message: string;
}

/**
 * Checks records of one stream, in order: sequence numbers without a hole, each `prev` the link of the record before.
 * A hole that a prune record covers is no finding: its `linkAtTo` is where the chain goes on.
 * @param before the link that the first record must continue; unchecked when absent
 */
export function verifyChain(
  records: readonly SegmentRecord[],
  options: { before?: string; prunes?: readonly PruneRecord[] } = {},
): ChainFinding[] {
  const findings: ChainFinding[] = [];
  let last: SegmentRecord | undefined;
  let link = options.before;
  for (const record of records) {
    const at = { seq: record.seq };
    if (last !== undefined && record.stream !== last.stream) {
      findings.push({ ...at, code: 'WRONG_STREAM', message: `${record.stream} in the chain of ${last.stream}` });
    }
    if (last !== undefined && record.seq <= last.seq) {
      findings.push({ ...at, code: 'ORDER', message: `segment ${record.seq} comes after ${last.seq}` });
    } else if (last !== undefined && record.seq !== last.seq + 1) {
      link = bridge(last.seq + 1, record.seq - 1, link, options.prunes ?? []);
      if (link === undefined) {
        findings.push({ ...at, code: 'SEQ_GAP', message: missing(last.seq + 1, record.seq - 1) });
      }
    }
    if (link !== undefined && record.prev !== link) {
      findings.push({
        ...at,
        code: 'CHAIN_BREAK',
        message: `segment ${record.seq} does not continue the chain before it`,
      });
    }
    link = recordLink(record);
    last = record;
  }
  return findings;
}

function missing(from: number, to: number): string {
  return from === to ? `segment ${from} is missing` : `segments ${from} to ${to} are missing`;
}

/** The link after deleted records, if prune records account for every one of them. */
function bridge(
  from: number,
  to: number,
  link: string | undefined,
  prunes: readonly PruneRecord[],
): string | undefined {
  let next = from;
  let at = link;
  while (next <= to) {
    const prune = prunes.find((p) => p.fromSeq <= next && p.toSeq >= next && p.toSeq <= to);
    if (prune === undefined) return undefined;
    next = prune.toSeq + 1;
    at = prune.linkAtTo;
  }
  return at;
}
