import { readFile } from 'node:fs/promises';
import { errorCode } from './errors.js';

const ESTABLISHED = '01';
const LISTEN = '0A';

/** A connection in `/proc/net/tcp` or `tcp6` (proc_net_tcp of the kernel's documentation). */
export interface TcpRow {
  localPort: number;
  remotePort: number;
  established: boolean;
  /** Bytes that the other end has not acknowledged yet, those not sent included. */
  unacknowledged: number;
  /** How often the kernel sent again what is not acknowledged. */
  again: number;
}

export function parseTcpTable(table: string): TcpRow[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns.length > 6 && columns[3] !== LISTEN)
    .map((columns) => ({
      localPort: portOf(columns[1]!),
      remotePort: portOf(columns[2]!),
      established: columns[3] === ESTABLISHED,
      unacknowledged: parseInt(columns[4]!, 16),
      again: parseInt(columns[6]!, 16),
    }));
}

/** The connections of this host, or of this network namespace. */
export async function readTcpTable(): Promise<TcpRow[]> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(readTable));
  return tables.flatMap(parseTcpTable);
}

/** A kernel without IPv6 has no such table. */
async function readTable(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

const portOf = (end: string): number => parseInt(end.slice(end.lastIndexOf(':') + 1), 16);
