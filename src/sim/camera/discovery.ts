import { randomUUID } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { BluelightError, errorCode, errorMessage } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { hostileAnswers } from './hostile-answers.js';
import { elementText, escapeXml } from './soap.js';

/** WS-Discovery's IPv4 group and port (WS-Discovery April 2005 §2.4). */
const GROUP = '239.255.255.250';
const PORT = 3702;

export interface Discoverable {
  readonly address: string;
  endpointReference: string;
  readonly xaddr: string;
  scopes: string[];
  /** False while the device is switched off. */
  awake(): boolean;
  /** Share of probes not heard and of answers lost. */
  discoveryLossShare(): number;
  /** Whether every probe is answered with all odd shapes as well. */
  hostileDiscovery(): boolean;
}

/**
 * Answers WS-Discovery probes for several devices on different addresses of one machine. One socket hears the group on
 * every interface concerned; each device answers from its own address and hears unicast probes there.
 */
export class DiscoveryResponder {
  #group: Socket | undefined;
  /** Each device's own socket. */
  readonly #voices = new Map<Discoverable, Socket>();

  constructor(
    private readonly devices: readonly Discoverable[],
    private readonly log: Log,
    private readonly random: () => number = Math.random,
  ) {}

  async start(): Promise<void> {
    for (const device of this.devices) await this.#listen(device);
    this.#group = await this.#open(GROUP);
    this.#group.on('message', (message, from) => this.#heard(message, from, this.devices));
    for (const { address } of this.devices) this.#join(address);
  }

  /** The device has another address from now on. */
  async moved(device: Discoverable): Promise<void> {
    if (this.#group === undefined) return;
    const old = this.#voices.get(device);
    this.#voices.delete(device);
    await this.#listen(device);
    this.#join(device.address);
    if (old !== undefined) await closed(old);
  }

  async close(): Promise<void> {
    const sockets = [...this.#voices.values(), ...(this.#group === undefined ? [] : [this.#group])];
    this.#voices.clear();
    this.#group = undefined;
    for (const socket of sockets) await closed(socket);
  }

  async #listen(device: Discoverable): Promise<void> {
    const own = await this.#open(device.address);
    own.on('message', (message, from) => this.#heard(message, from, [device]));
    this.#voices.set(device, own);
  }

  #join(address: string): void {
    try {
      this.#group?.addMembership(GROUP, address);
    } catch (error) {
      // Two addresses of one interface: the kernel has the membership already.
      if (errorCode(error) === 'EADDRINUSE') return;
      throw new BluelightError('SIM_DISCOVERY', `cannot hear discovery on ${address}: ${errorMessage(error)}`, {
        fix: `give ${address} to an interface that can do multicast, or switch discovery off`,
        cause: error,
      });
    }
  }

  #lost(device: Discoverable): boolean {
    return this.random() < device.discoveryLossShare();
  }

  async #open(address: string): Promise<Socket> {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    socket.bind(PORT, address);
    await once(socket, 'listening');
    socket.on('error', (error) => this.log.warn({ address, reason: error.message }, 'discovery socket failed'));
    return socket;
  }

  #heard(message: Buffer, from: { address: string; port: number }, devices: readonly Discoverable[]): void {
    const probe = readProbe(message.toString('utf8'));
    if (probe === undefined) return;
    for (const device of devices) {
      const voice = this.#voices.get(device);
      if (voice === undefined || !device.awake() || this.#lost(device)) continue;
      const hostile = device.hostileDiscovery() ? hostileAnswers(device.xaddr).map((one) => one.datagram) : [];
      const answers = this.#lost(device) ? hostile : [...hostile, probeMatch(device, probe.messageId)];
      for (const answer of answers) voice.send(answer, from.port, from.address);
    }
  }
}

async function closed(socket: Socket): Promise<void> {
  socket.close();
  await once(socket, 'close');
}

/** A probe that a video transmitter answers: of its type, of `Device`, or of no type at all. */
function readProbe(xml: string): { messageId: string } | undefined {
  if (!/<(?:[\w-]+:)?Probe[\s>/]/.test(xml)) return undefined;
  const types = elementText(xml, 'Types') ?? '';
  const wanted = types === '' || /\b(?:NetworkVideoTransmitter|Device)\b/.test(types);
  return wanted ? { messageId: elementText(xml, 'MessageID') ?? '' } : undefined;
}

/** ProbeMatches (WS-Discovery §5.3) with the types of ONVIF Core, chapter 7. */
export function probeMatch(device: Discoverable, relatesTo: string): string {
  return (
    '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" ' +
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" ' +
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" ' +
    'xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl"><s:Header>' +
    `<a:MessageID>urn:uuid:${randomUUID()}</a:MessageID><a:RelatesTo>${escapeXml(relatesTo)}</a:RelatesTo>` +
    '<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>' +
    '<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action></s:Header><s:Body>' +
    '<d:ProbeMatches><d:ProbeMatch><a:EndpointReference>' +
    `<a:Address>${device.endpointReference}</a:Address></a:EndpointReference>` +
    '<d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types>' +
    `<d:Scopes>${escapeXml(device.scopes.join(' '))}</d:Scopes><d:XAddrs>${escapeXml(device.xaddr)}</d:XAddrs>` +
    '<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>'
  );
}
