import type { UsernameToken } from './login.js';

/** What the simulated device needs to know of a SOAP request. */
export interface SoapRequest {
  /** Local name of the element in the body, e.g. `GetProfiles`. */
  action: string;
  /** Its namespace, as far as it is declared; the service it is meant for. */
  namespace: string;
  token: UsernameToken | undefined;
  /** Text of the first element with this local name in the body; with `@` before it, of the first such attribute. */
  field(name: string): string | undefined;
}

/** Reads just what a camera acts on; anything else in the envelope is ignored. Undefined if it is no SOAP envelope. */
export function readSoap(xml: string): SoapRequest | undefined {
  const body = /<(?:[\w-]+:)?Body\b[^>]*>([\s\S]*?)<\/(?:[\w-]+:)?Body>/.exec(xml)?.[1];
  if (body === undefined) return undefined;
  const first = /<(?:([\w-]+):)?(\w+)([^>]*)>/.exec(body);
  if (first === null) return undefined;
  const [, prefix, action, attributes] = first;
  const declaration = prefix === undefined ? /\sxmlns="([^"]*)"/ : new RegExp(`xmlns:${prefix}="([^"]*)"`);
  const namespace = declaration.exec(attributes ?? '')?.[1] ?? declaration.exec(xml)?.[1] ?? '';
  const field = (name: string): string | undefined =>
    name.startsWith('@') ? attributeText(body, name.slice(1)) : elementText(body, name);
  return { action: action!, namespace, token: readToken(xml), field };
}

function readToken(xml: string): UsernameToken | undefined {
  const token = /<(?:[\w-]+:)?UsernameToken\b[\s\S]*?<\/(?:[\w-]+:)?UsernameToken>/.exec(xml)?.[0];
  if (token === undefined) return undefined;
  return {
    username: elementText(token, 'Username') ?? '',
    password: elementText(token, 'Password') ?? '',
    digest: /<(?:[\w-]+:)?Password\b[^>]*#PasswordDigest/.test(token),
    nonce: elementText(token, 'Nonce') ?? '',
    created: elementText(token, 'Created') ?? '',
  };
}

function attributeText(xml: string, name: string): string | undefined {
  const match = new RegExp(`\\s(?:[\\w-]+:)?${name}="([^"]*)"`).exec(xml);
  return match === null ? undefined : unescapeXml(match[1]!);
}

export function elementText(xml: string, name: string): string | undefined {
  const match = new RegExp(`<(?:[\\w-]+:)?${name}\\b[^>]*>([^<]*)</`).exec(xml);
  return match === null ? undefined : unescapeXml(match[1]!.trim());
}

function unescapeXml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const ENVELOPE =
  '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" ' +
  'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" ' +
  'xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tr2="http://www.onvif.org/ver20/media/wsdl" ' +
  'xmlns:tev="http://www.onvif.org/ver10/events/wsdl" xmlns:tmd="http://www.onvif.org/ver10/deviceIO/wsdl" ' +
  'xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" xmlns:wsa="http://www.w3.org/2005/08/addressing" ' +
  'xmlns:tns1="http://www.onvif.org/ver10/topics" ' +
  'xmlns:ter="http://www.onvif.org/ver10/error">';

export function soapAnswer(body: string): string {
  return `${ENVELOPE}<s:Body>${body}</s:Body></s:Envelope>`;
}

/** A SOAP 1.2 fault with an ONVIF subcode (ONVIF Core, fault handling), e.g. `ter:NotAuthorized`. */
export function soapFault(code: 'Sender' | 'Receiver', subcode: string, reason: string): string {
  return soapAnswer(
    `<s:Fault><s:Code><s:Value>s:${code}</s:Value><s:Subcode><s:Value>${subcode}</s:Value></s:Subcode></s:Code>` +
      `<s:Reason><s:Text xml:lang="en">${escapeXml(reason)}</s:Text></s:Reason></s:Fault>`,
  );
}
