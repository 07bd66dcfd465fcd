import { readSync } from 'node:fs';
import { BluelightError, errorCode } from './errors.js';

/**
 * Bytes that the kernel holds for a paused socket, put into `into`: how many, 0 at the end of the connection, undefined
 * if there are none now. Node reads when the kernel says that something came, and to be told costs more than the bytes
 * of a packet do; who comes by regularly anyway need not be told. Never waits: sockets of Node do not block.
 * @throws what the system says of a connection that broke
 */
export function readNow(socket: object, into: Uint8Array): number | undefined {
  const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd;
  if (fd === undefined || fd < 0) throw new BluelightError('INTERNAL', 'the connection has no descriptor');
  try {
    return readSync(fd, into, 0, into.length, null);
  } catch (error) {
    if (errorCode(error) === 'EAGAIN') return undefined;
    throw error;
  }
}
