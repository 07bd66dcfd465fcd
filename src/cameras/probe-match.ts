import { descendants, parseXml, plainText, textAt, type XmlNode } from './xml.js';

/** What one answer to a probe says about one device. */
export interface ProbeMatch {
  /** '' if the device does not give one. */
  endpointReference: string;
  xaddrs: string[];
  name: string;
  hardware: string;
}

const MAX_DATAGRAM = 65_536;
const MAX_MATCHES = 32;

/**
 * Video devices named in a WS-Discovery answer. Takes every form seen in the field: several matches in one message,
 * addresses parted by any white space, missing elements. Anything that is no such answer gives an empty list.
 */
export function readProbeMatches(text: string): ProbeMatch[] {
  if (text.length > MAX_DATAGRAM || !text.includes('ProbeMatch')) return [];
  let root: XmlNode;
  try {
    root = parseXml(text);
  } catch {
    // What exceeds the reader's limits is no camera's answer.
    return [];
  }
  return descendants(root, 'ProbeMatch').slice(0, MAX_MATCHES).filter(isVideoDevice).map(readMatch);
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** Printers and network disks answer probes as well (WS-Discovery is not only for cameras). */
function isVideoDevice(match: XmlNode): boolean {
  const types = textAt(match, 'Types');
  const scopes = textAt(match, 'Scopes');
  if (/NetworkVideoDisplay/.test(types) && !/NetworkVideoTransmitter/.test(types)) return false;
  return /NetworkVideoTransmitter/.test(types) || /onvif:\/\/www\.onvif\.org\//i.test(scopes);
}

function readMatch(match: XmlNode): ProbeMatch {
  const scopes = words(textAt(match, 'Scopes'));
  return {
    endpointReference: words(textAt(match, 'EndpointReference', 'Address'))
      .join('')
      .slice(0, 200),
    xaddrs: words(textAt(match, 'XAddrs')).slice(0, 16),
    name: scopeValue(scopes, 'name'),
    hardware: scopeValue(scopes, 'hardware'),
  };
}

/** `onvif://www.onvif.org/name/Front%20door` (ONVIF Core, scope definitions). */
function scopeValue(scopes: readonly string[], category: string): string {
  const prefix = `onvif://www.onvif.org/${category}/`;
  const found = scopes.find((scope) => scope.toLowerCase().startsWith(prefix));
  if (found === undefined) return '';
  const raw = found.slice(prefix.length);
  try {
    return plainText(decodeURIComponent(raw));
  } catch {
    // A stray percent sign: show it as it came.
    return plainText(raw);
  }
}
