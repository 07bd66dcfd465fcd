const ESTABLISHED = '01';

/**
 * Local ports of the connections in `/proc/net/tcp` or `tcp6` (proc_net_tcp of the kernel's documentation) on which the
 * kernel sent again because nothing acknowledged it, and still waits. A way that is merely slow acknowledges.
 */
export function parseUnanswered(table: string): number[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[3] === ESTABLISHED && parseInt(columns[6] ?? '0', 16) > 0)
    .map((columns) => parseInt(columns[1]!.slice(columns[1]!.lastIndexOf(':') + 1), 16));
}
