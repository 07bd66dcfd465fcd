import type { Duplex } from 'node:stream';
import type { Heartbeat, EventType } from '../contract/messages.js';

/** An event that waits for the center, as the store keeps it. */
export interface OutboxRow {
  stream: string;
  sequence: number;
  /** ULID, the idempotency key. */
  id: string;
  type: string;
  timeMs: number;
  data: unknown;
}

/** The durable outbox (a table of the store). What `append` resolved for survives a power cut. */
export interface OutboxPort {
  /** Gives the event the next sequence of its stream, without holes. */
  append(event: { stream: string; id: string; type: EventType; timeMs: number; data: unknown }): Promise<void>;
  /**
   * Rows in the order in which they are to be sent, ascending per stream, of each stream only those behind
   * `after[stream]` (absent: from its oldest).
   */
  batch(ask: { after: Record<string, number>; limit: number }): Promise<OutboxRow[]>;
  /** Forgets every row up to and including these sequences. */
  ack(streams: Record<string, number>): Promise<void>;
  /** How many rows wait. */
  depth(): Promise<number>;
}

/** Where to dial, and for what; the room of the uplinks owns the sockets and counts their bytes. */
export interface DialTarget {
  host: string;
  port: number;
  /** Undefined: plain TCP. */
  tls?: { servername: string; ca?: string };
  purpose: 'mqtt';
}
export type Dial = (target: DialTarget) => Duplex;

/** What the box says of itself besides what the center room adds (sequence, nonce, depth of the outbox). */
export type HeartbeatSource = (beat: { seq: number; nonce: string; outbox: number }) => Heartbeat | Promise<Heartbeat>;
