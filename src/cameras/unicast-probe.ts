import { randomUUID } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import type { Clock } from '../base/clock.js';
import { readProbeMatches } from './probe-match.js';

const PORT = 3702;
const WAIT_MS = 600;
const TRIES = 2;

/**
 * The EndpointReference of the device at an address, asked by a directed WS-Discovery probe (WS-Discovery §5.2; no
 * login). Undefined if it does not answer such probes; many do, the standard does not ask it of them.
 */
export async function referenceAt(clock: Clock, host: string): Promise<string | undefined> {
  if (!isIPv4(host)) return undefined;
  const socket = createSocket('udp4');
  const found: string[] = [];
  const heard = new AbortController();
  socket.on('message', (message, from) => {
    if (from.address !== host || found.length > 0) return;
    const match = readProbeMatches(message.toString('utf8')).find((one) => one.endpointReference !== '');
    if (match === undefined) return;
    found.push(match.endpointReference);
    heard.abort();
  });
  // Nobody listens on that port: no answer is the answer.
  socket.on('error', () => heard.abort());
  try {
    socket.bind(0);
    await once(socket, 'listening');
    for (let i = 0; i < TRIES && !heard.signal.aborted; i++) {
      socket.send(probe(), PORT, host, () => undefined);
      await clock.sleep(WAIT_MS, heard.signal).catch(() => undefined);
    }
    return found[0];
  } finally {
    socket.close();
  }
}

function probe(): string {
  return (
    '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" ' +
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" ' +
    'xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><s:Header>' +
    `<a:MessageID>urn:uuid:${randomUUID()}</a:MessageID><a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>` +
    '<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action></s:Header><s:Body><d:Probe>' +
    '<d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></s:Body></s:Envelope>'
  );
}
