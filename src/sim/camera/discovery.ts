import { randomUUID } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { BluelightError, errorCode, errorMessage } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { elementText, escapeXml } from './soap.js';

/** WS-Discovery's IPv4 group and port (WS-Discovery April 2005 §2.4). */
const GROUP = '239.255.255.250';
const PORT = 3702;

export interface Discoverable {
  address: string;
  endpointReference: string;
  readonly xaddr: string;
  scopes: string[];
  /** False while the device is switched off. */
  awake(): boolean;
  /** Share of probes not heard and of answers lost. */
  discoveryLossShare(): number;
}

/**
 * Answers WS-Discovery probes for several devices on different addresses of one machine. One socket hears the group on
 * every interface concerned; each device answers from its own address and hears unicast probes there.
 */
export class DiscoveryResponder {
  readonly #sockets: Socket[] = [];

  constructor(
    private readonly devices: readonly Discoverable[],
    private readonly log: Log,
    private readonly random: () => number = Math.random,
  ) {}

  async start(): Promise<void> {
    const voices = new Map<Discoverable, Socket>();
    for (const device of this.devices) {
      const own = await this.#open(device.address);
      own.on('message', (message, from) => this.#heard(message, from, [device], voices));
      voices.set(device, own);
    }
    const group = await this.#open(GROUP);
    group.on('message', (message, from) => this.#heard(message, from, this.devices, voices));
    for (const { address } of this.devices) {
      try {
        group.addMembership(GROUP, address);
      } catch (error) {
        // Two addresses of one interface: the kernel has the membership already.
        if (errorCode(error) !== 'EADDRINUSE') {
          throw new BluelightError('SIM_DISCOVERY', `cannot hear discovery on ${address}: ${errorMessage(error)}`, {
            fix: `give ${address} to an interface that can do multicast, or switch discovery off`,
            cause: error,
          });
        }
      }
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.splice(0)) {
      socket.close();
      await once(socket, 'close');
    }
  }

  #lost(device: Discoverable): boolean {
    return this.random() < device.discoveryLossShare();
  }

  async #open(address: string): Promise<Socket> {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    this.#sockets.push(socket);
    socket.bind(PORT, address);
    await once(socket, 'listening');
    socket.on('error', (error) => this.log.warn({ address, reason: error.message }, 'discovery socket failed'));
    return socket;
  }

  #heard(
    message: Buffer,
    from: { address: string; port: number },
    devices: readonly Discoverable[],
    voices: ReadonlyMap<Discoverable, Socket>,
  ): void {
    const probe = readProbe(message.toString('utf8'));
    if (probe === undefined) return;
    for (const device of devices) {
      if (!device.awake() || this.#lost(device)) continue;
      if (!this.#lost(device)) voices.get(device)?.send(probeMatch(device, probe.messageId), from.port, from.address);
    }
  }
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
