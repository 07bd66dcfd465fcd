/** The part of node-onvif 0.1.7 (which ships no types) that discovery uses. `_` marks what it does not document. */
declare module 'node-onvif' {
  import type { Socket } from 'node:dgram';

  interface NodeOnvif {
    /** Sends nine probes over 1.2 s and resolves `_DISCOVERY_WAIT` ms after its start. One at a time. */
    startProbe(): Promise<{ urn: string; name: string; xaddrs: string[] }[]>;
    stopProbe(): Promise<void>;
    /** Present as soon as `startProbe` has returned. */
    _udp: Socket | null;
    _DISCOVERY_WAIT: number;
  }
  const nodeOnvif: NodeOnvif;
  export default nodeOnvif;
}
