import { hostname, networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { AgentState } from './agent-state.js';
import type { Clock } from './base/clock.js';
import type { Closing } from './base/closing.js';
import type { Log } from './base/log.js';
import { measureLoopDelay } from './base/loop-delay.js';
import type { Enrolment } from './enrolment.js';
import type { Party } from './contract/policy.js';
import { loginDesk } from './login-desk.js';
import type { OwnerDesk } from './owner-desk.js';
import { identityDesk } from './identity-desk.js';
import { PageTls } from './page-tls.js';
import type { Recording } from './recording.js';
import { socketPath, type Settings } from './settings/table.js';
import { webPorts, type WebPortsOptions } from './web-ports.js';
import { isNeighbour } from './web/neighbours.js';
import { createWeb } from './web/server.js';

export interface PeopleOptions extends Omit<
  WebPortsOptions,
  'media' | 'ring' | 'identity' | 'loginDesk' | 'threads' | 'store' | 'logins' | 'owner'
> {
  clock: Clock;
  log: Log;
  settings: Settings;
  closing: Closing;
  state: AgentState;
  recording: Recording;
  owner: OwnerDesk;
  enrolment: Enrolment;
}

export interface Doors {
  page: string;
  socket: string;
  /** Of the technician; at the first start only. */
  loginCode: string | undefined;
}

/** Opens the doors for people: the page on the LAN, and the socket for the programs of this box. */
export async function openDoors(o: PeopleOptions): Promise<Doors> {
  const { clock, log, settings, closing, recording, enrolment, gate } = o;
  const { store, logins } = o.state;
  const claimed = (): boolean => ['pending', 'active'].includes(enrolment.state.state);
  const { client } = enrolment;
  const tls = await PageTls.open({ ...o.state, clock, log, gate, client, claimed, names: () => ownNames(settings) });
  const technicianMs = settings['web.technician'];
  const ownersWord = (by: Party, passphrase: string | undefined): Promise<void> => o.owner.ownersWord(by, passphrase);
  const people = loginDesk({ clock, logins, gate, ownersWord, technicianMs });
  const identity = identityDesk({ ...o.state, enrolment, tls });
  const threads = async (ms: number): ReturnType<WebPortsOptions['threads']> => {
    const [own, media] = await Promise.all([measureLoopDelay(clock, ms), recording.media.loopDelay(ms)]);
    return {
      threads: [
        { thread: 'main', ...own },
        { thread: 'media', ...media },
      ],
    };
  };
  const web = createWeb({
    clock,
    log,
    ports: webPorts({
      ...o,
      media: recording.media,
      ring: recording.ring,
      store,
      logins,
      identity,
      loginDesk: people,
      threads,
    }),
    tls: tls.certificate,
    // A box that is nobody's yet speaks to its own network only.
    admits: (address) => claimed() || isNeighbour(address, Object.values(networkInterfaces()).flat()),
    technicianMs,
    listen: { host: settings['web.host'], port: settings['web.port'] },
    hosts: settings['web.hosts'],
    pages: fileURLToPath(new URL('./web/pages', import.meta.url)),
  });
  closing.add('the page', () => web.close());
  tls.start((certificate) => web.setCertificate(certificate));
  closing.add('the certificate of the page', () => tls.stop());
  const socket = socketPath(settings);
  await web.listenSocket(socket);
  const port = await web.listen();
  return { page: `https://localhost:${port}/`, socket, loginCode: (await logins.firstCode()) ?? undefined };
}

function ownNames(settings: Settings): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  return [hostname(), `${hostname()}.local`, ...addresses, ...settings['web.hosts']];
}
