import type { Duplex } from 'node:stream';
import type { JobMessage } from '../contract/commands.js';
import type { Heartbeat, PolicyReported } from '../contract/messages.js';
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

/**
 * What the center asks for, as it came: nothing of it has been checked but its size. None of these may wait for the end
 * of what it starts: the next message comes behind it.
 */
export interface Inbox {
  command(text: string): void;
  operators(text: string): void;
  proposal(text: string): void;
}

/** What the box reports beside its heartbeats. */
export interface ReportsPort {
  policy(): Omit<PolicyReported, 'schema' | 'ts'>;
  /** Open jobs and those that ended lately, newest first. */
  jobs(): Promise<JobMessage[]>;
}
