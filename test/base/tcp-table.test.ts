import { expect, test } from 'vitest';
import { parseTcpTable } from '../../src/base/tcp-table.js';

test('the table of the kernel tells what is not acknowledged, and what was sent again', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0',
    '   1: 0200005A:C350 01005D0A:170C 01 00004000:00000000 01:00000120 00000003     0        0 2 4 0',
    '   2: 0200005A:C352 01005D0A:170C 02 00000001:00000000 01:00000012 00000002     0        0 4 2 0',
    '',
  ].join('\n');
  expect(parseTcpTable(table)).toEqual([
    { localPort: 0xc350, remotePort: 0x170c, established: true, unacknowledged: 0x4000, again: 3 },
    { localPort: 0xc352, remotePort: 0x170c, established: false, unacknowledged: 1, again: 2 },
  ]);
});
