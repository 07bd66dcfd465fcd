/** One odd datagram in answer to a discovery probe, and the EndpointReferences that a careful reader finds in it. */
export interface HostileAnswer {
  name: string;
  datagram: string;
  devices: string[];
}

interface Match {
  reference?: string;
  xaddrs?: string;
  types?: string;
  scopes?: string;
}

/**
 * What devices, other programs and attackers answer to a probe, as seen in the field and beyond. None may end the
 * listener or hide a good camera; where a camera can be made out, it has to be.
 * @param xaddr a service address of whoever sends them
 */
export function hostileAnswers(xaddr: string): HostileAnswer[] {
  return [...withoutCamera(xaddr), ...withCamera(xaddr)];
}

function withoutCamera(xaddr: string): HostileAnswer[] {
  const shapes: [string, string][] = [
    ['empty datagram', ''],
    ['no XML', 'hello'],
    ['HTTP', 'HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n'],
    ['binary', String.fromCharCode(0, 1, 2, 255) + '<'],
    ['no SOAP', '<html><body>printer</body></html>'],
    ['empty ProbeMatches', envelope('')],
    ['a fault', '<s:Envelope xmlns:s="x"><s:Body><s:Fault><s:Code/></s:Fault></s:Body></s:Envelope>'],
    ['cut off', envelope(match({ xaddrs: xaddr })).slice(0, 200)],
    ['a printer', envelope(match({ types: 'wprt:PrintDeviceType', scopes: '', xaddrs: xaddr }))],
    ['a monitor', envelope(match({ types: 'dn:NetworkVideoDisplay', xaddrs: xaddr }))],
    ['deep nesting', '<a>'.repeat(4_000)],
    ['a probe', envelope('').replaceAll('ProbeMatches', 'Probe')],
    ['a thousand attributes', `<ProbeMatch ${'a="b" '.repeat(1_000)}/>`],
    ['an endless comment', `<ProbeMatch><!-- ${'-'.repeat(10_000)}`],
    ['an endless tag', `<ProbeMatch ${'='.repeat(10_000)}`],
    ['JSON', '{"ProbeMatch":{"XAddrs":"http://127.0.0.1/"}}'],
  ];
  return shapes.map(([name, datagram]) => ({ name, datagram, devices: [] }));
}

function withCamera(xaddr: string): HostileAnswer[] {
  const id = (name: string): string => `urn:uuid:hostile-${name}`;
  const found = (name: string, letter: string, more: Match): HostileAnswer => ({
    name,
    datagram: envelope(match({ reference: id(letter), ...more })),
    devices: [id(letter)],
  });
  const two = match({ reference: id('a'), xaddrs: xaddr }) + match({ reference: id('b'), xaddrs: xaddr });
  const proto = '<__proto__><x/></__proto__>' + match({ reference: id('h'), xaddrs: xaddr });
  const bomb = '<!DOCTYPE x [<!ENTITY a "&a;&a;">]>' + envelope(match({ reference: id('i'), xaddrs: xaddr }));
  const name = 'onvif://www.onvif.org/name/';
  return [
    { ...found('missing EndpointReference', '-', { reference: '', xaddrs: xaddr }), devices: [''] },
    { name: 'two in one message', datagram: envelope(two), devices: [id('a'), id('b')] },
    { name: '__proto__', datagram: envelope(proto), devices: [id('h')] },
    { name: 'an entity bomb', datagram: bomb, devices: [id('i')] },
    found('missing XAddrs', 'noxaddr', {}),
    found('double space', 'c', { xaddrs: `${xaddr}  ${xaddr}` }),
    found('trailing space', 'd', { xaddrs: `${xaddr} ` }),
    found('newlines', 'e', { xaddrs: `\n  ${xaddr}\n  ${xaddr}\n` }),
    found('zone id', 'f', { xaddrs: `http://[fe80::1%25eth0]/onvif/device_service ${xaddr}` }),
    found('address 0.0.0.0', 'g', { xaddrs: 'http://0.0.0.0/onvif/device_service' }),
    found('the metadata service of a cloud', 'j', { xaddrs: 'http://169.254.169.254/latest/meta-data' }),
    found('another scheme', 'k', { xaddrs: 'file:///etc/passwd javascript:alert(1) rtsp://10.0.0.1/' }),
    found('a port that is none', 'l', { xaddrs: 'http://10.0.0.1:99999/ http://10.0.0.1:-1/' }),
    found('a login in the address', 'm', { xaddrs: 'http://admin:admin@10.0.0.1/onvif/device_service' }),
    found('an endless name', 'n', { xaddrs: xaddr, scopes: name + 'x'.repeat(8_000) }),
    found('control characters in the name', 'o', { xaddrs: xaddr, scopes: `${name}%1b%5b31m%00%0aevil%e2%80%ae` }),
    found('half an escape in the name', 'p', { xaddrs: xaddr, scopes: `${name}a%zz%` }),
    found('a hundred addresses', 'q', { xaddrs: `${xaddr} `.repeat(100) }),
    found('upper case', 'R', { xaddrs: xaddr.toUpperCase() }),
  ];
}

function match(options: Match): string {
  const { reference = 'urn:uuid:hostile', types = 'dn:NetworkVideoTransmitter' } = options;
  const part = (name: string, text: string | undefined): string =>
    text === undefined ? '' : `<d:${name}>${text}</d:${name}>`;
  return (
    '<d:ProbeMatch>' +
    (reference === '' ? '' : `<a:EndpointReference><a:Address>${reference}</a:Address></a:EndpointReference>`) +
    part('Types', types) +
    part('Scopes', options.scopes ?? 'onvif://www.onvif.org/name/Hostile') +
    part('XAddrs', options.xaddrs) +
    '</d:ProbeMatch>'
  );
}

function envelope(matches: string): string {
  return (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="x" xmlns:d="y">' +
    `<s:Header/><s:Body><d:ProbeMatches>${matches}</d:ProbeMatches></s:Body></s:Envelope>`
  );
}
