import { once } from 'node:events';
import { connect } from 'node:net';
import { withDeadline, type Clock } from '../base/clock.js';
import { BluelightError } from '../base/errors.js';

/** Does a program listen there and answer within so many ms? Nothing is sent. */
export async function portOpen(clock: Clock, host: string, port: number, withinMs: number): Promise<boolean> {
  const socket = connect(port, host);
  try {
    const late = (): BluelightError => new BluelightError('CAMERA_UNREACHABLE', `no connection to ${host}:${port}`);
    await withDeadline(clock, withinMs, once(socket, 'connect'), late);
    return true;
  } catch {
    return false;
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}
