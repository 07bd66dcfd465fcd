import { spawn } from 'node:child_process';
import { BluelightError } from './errors.js';

/** SOL_SOCKET and SO_BINDTODEVICE of Linux, on every architecture that Debian supports but MIPS and SPARC. */
const OPTION =
  'open(my $socket, "+<&=", 3) or die "$!\\n"; setsockopt($socket, 1, 25, pack("Z*", $ARGV[0])) or die "$!\\n"';

interface Handle {
  fd: number;
  /** An error number, 0 if there was none. */
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: number): number;
}

/** The handle behind a socket of Node; what has no descriptor yet gets one by being bound to any address. */
function descriptor(socket: object, family: 4 | 6): number {
  const handle = (socket as { _handle?: Handle })._handle;
  if (handle === undefined) throw refused('there is no descriptor');
  if (handle.fd < 0) {
    const failed = family === 6 ? handle.bind6('::', 0, 0) : handle.bind('0.0.0.0', 0);
    if (failed !== 0) throw refused(`it cannot be bound (${failed})`);
  }
  return handle.fd;
}

/**
 * Ties a socket that is not connected yet to a network interface (socket(7), SO_BINDTODEVICE). Node has no call for
 * it, but the option belongs to the socket and not to the process: a child that inherits the descriptor sets it. Since
 * Linux 5.7 this needs no privilege, as long as the socket is not tied yet. `perl-base` is essential on Debian.
 * @throws BluelightError LINK_BIND
 */
export async function bindToDevice(socket: object, family: 4 | 6, device: string): Promise<void> {
  const fd = descriptor(socket, family);
  await new Promise<void>((resolve, reject) => {
    // Never as descriptor 0 to 2: libuv makes those blocking, and that holds for our end too, so that a way which takes no
    // more bytes would stop this thread.
    const stdio = ['ignore', 'ignore', 'pipe', fd] as const;
    const child = spawn('perl', ['-e', OPTION, device], { stdio: [...stdio], shell: false, env: {} });
    let said = '';
    child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.once('error', (error) => reject(refused(error.message)));
    child.once('close', (code) => (code === 0 ? resolve() : reject(refused(`${device}: ${said.trim()}`))));
  });
}

function refused(why: string): BluelightError {
  return new BluelightError('LINK_BIND', `a connection cannot be tied to its link: ${why}`, {
    fix: 'check the name of the interface in [[uplinks.links]]; kernels before 5.7 need CAP_NET_RAW for it',
    retryable: true,
  });
}
