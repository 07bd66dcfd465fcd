import type { Clock } from '../base/clock.js';
import type { ErrorData } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { JobMessage } from '../contract/commands.js';
import type { ClaimFile, EventType, InfoMessage } from '../contract/messages.js';
import type { Dial, HeartbeatSource, Inbox, OutboxPort, ReportsPort } from './ports.js';

export interface CenterOptions {
  clock: Clock;
  log: Log;
  claim: ClaimFile;
  outbox: OutboxPort;
  heartbeat: HeartbeatSource;
  /** The birth message without session and time. */
  info: () => Omit<InfoMessage, 'schema' | 'session' | 'ts'>;
  /** What the center says of keys and membership, as it came: whoever takes it checks the signatures. */
  onEnrolment?: (text: string) => void;
  /** Absent: the center is told of nothing that it could ask for, and asks for nothing. */
  inbox?: Inbox;
  reports?: ReportsPort;
  dial?: Dial;
  /** Asked at the beginning of each connection: what the link under it allows. */
  heartbeatMs?: () => number;
  keepaliveS?: () => number;
  /** How long the broker waits with the will, so that a short flap is not a loss. */
  willDelayS?: number;
  eventsPerSecond?: number;
  resendAfterMs?: number;
  random?: () => number;
}

export interface CenterStatus {
  state: 'stopped' | 'connecting' | 'connected' | 'waiting';
  /** ULID of the connection, while there is one. */
  session: string | null;
  /** Wall clock (ms) of our heartbeat that the center itself acknowledged last; null: not since the agent started. */
  centerReachedAt: number | null;
  /** The same by the clock that never jumps: ms since then. */
  centerReachedAgoMs: number | null;
  /** Clock of the box minus that of the center by its last signed word, good to the round trip; null: none yet. */
  clockOffsetMs: number | null;
  /** What the center says of itself; null: nothing heard. */
  centerOnline: boolean | null;
  outbox: number;
  inFlight: number;
  lastError: (ErrorData & { at: number }) | null;
  nextAttemptAt: number | null;
}

export interface Center {
  start(): void;
  /** Says why, takes the will back, and ends. */
  stop(reason: 'shutdown' | 'update' | 'power'): Promise<void>;
  /** Ends for good: takes back everything that the broker keeps for this box. False: the broker was not reached. */
  leave(): Promise<boolean>;
  /**
   * Durable as soon as it resolves; sent when the center can be reached. False: the outbox is too full for an event
   * of this class; it was counted and is lost.
   */
  event(event: { type: EventType; stream: string; data: unknown; timeMs?: number }): Promise<boolean>;
  /** Cameras were added or removed: say it now. */
  refresh(): Promise<void>;
  /** A heartbeat out of turn: something changed. */
  beat(): Promise<void>;
  /** The terms changed, or the owner switched something. Without a connection it is said with the next one. */
  reportPolicy(): Promise<void>;
  /** How a job goes on. Without a connection it is said with the next one. */
  reportJob(job: JobMessage): Promise<void>;
  /** Everything that the center may have missed, once more. */
  rebirth(): Promise<void>;
  status(): CenterStatus;
}
