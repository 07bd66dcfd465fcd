import type { Duplex } from 'node:stream';
import type { Heartbeat } from '../contract/messages.js';
import type { TableCalls } from '../store/calls.js';

/** The durable outbox, a table of the store: what `append` resolved for survives a power cut. */
export type OutboxPort = Pick<TableCalls['outbox'], 'append' | 'next' | 'ack' | 'stats'>;

/** Where to dial, and for what; the room of the uplinks owns the sockets and counts their bytes. */
export interface DialTarget {
  host: string;
  port: number;
  /** Undefined: plain TCP. */
  tls?: { servername: string; ca?: string };
  purpose: 'mqtt';
}
export type Dial = (target: DialTarget) => Duplex | Promise<Duplex>;

/** What the box says of itself besides what the center room adds (sequence, nonce, depth of the outbox). */
export type HeartbeatSource = (beat: { seq: number; nonce: string; outbox: number }) => Heartbeat | Promise<Heartbeat>;
