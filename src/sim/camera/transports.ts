import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { INTERLEAVED_HEADER, onChannel } from './rtp.js';

/** Where the packets of one track go. */
export interface Delivery {
  /** The value of the Transport header in the answer to SETUP. */
  readonly header: string;
  send(packets: readonly Buffer[]): void;
  close(): void;
}

/** Interleaved in the RTSP connection (RFC 2326 §10.12). */
export function tcpDelivery(socket: Socket, channel: number, perPacketWrites: boolean): Delivery {
  return {
    header: `RTP/AVP/TCP;unicast;interleaved=${String(channel)}-${String(channel + 1)}`,
    send(packets) {
      const out = onChannel(packets, channel);
      if (perPacketWrites) for (const packet of out) socket.write(packet);
      else if (out.length > 0) socket.write(out.length === 1 ? out[0]! : Buffer.concat(out));
    },
    close: () => undefined,
  };
}

/** Two datagram sockets on the camera's own address; RTCP is told by the channel of the packet. */
export async function udpDelivery(local: string, client: string, ports: [number, number]): Promise<Delivery> {
  const sockets = [createSocket('udp4'), createSocket('udp4')] as const;
  await Promise.all(sockets.map((socket) => bound(socket, local)));
  const [rtp, rtcp] = sockets.map((socket) => socket.address().port);
  let open = true;
  return {
    header: `RTP/AVP;unicast;client_port=${ports.join('-')};server_port=${String(rtp)}-${String(rtcp)}`,
    send(packets) {
      if (!open) return;
      for (const packet of packets) {
        const rank = packet[1] === 0 ? 0 : 1;
        sockets[rank].send(packet.subarray(INTERLEAVED_HEADER), ports[rank], client);
      }
    },
    close() {
      if (!open) return;
      open = false;
      for (const socket of sockets) socket.close();
    },
  };
}

async function bound(socket: UdpSocket, address: string): Promise<void> {
  // A client that is gone answers with ICMP; there is nothing to do about it.
  socket.on('error', () => undefined);
  socket.bind(0, address);
  await once(socket, 'listening');
}
