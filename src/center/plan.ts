import type { Ack } from '../contract/messages.js';

/** Waits between attempts, ms; ONVIF Uplink's ascending shape behind one quick try (a broker that was restarted). */
const STEPS = [1_000, 3_000, 6_000, 12_000, 24_000, 30_000];
const LONGEST_MS = 300_000;

/** MQTT v5 §2.4: refusals that no hurry mends. */
const REFUSED = new Set([0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c]);
/** Another client connected with our id (§3.14.2.1). Two boxes with one identity must not throw each other out for ever. */
export const TAKEN_OVER = 0x8e;

/**
 * How long to wait before attempt `failures + 1`, spread over 50..100 % so that a fleet does not return in step.
 * @param reason MQTT v5 reason code of the last end, if it had one
 */
export function planReconnect(failures: number, reason: number | undefined, random: () => number): number {
  const step = STEPS[Math.min(Math.max(failures - 1, 0), STEPS.length - 1)]!;
  let full = step;
  if (reason !== undefined && REFUSED.has(reason)) full = Math.min(LONGEST_MS, step * 10);
  else if (reason === TAKEN_OVER) full = Math.max(step, 30_000);
  return Math.round(full * (0.5 + random() * 0.5));
}

export interface Beat {
  nonce: string;
  /** `Clock.now` and `Clock.monotonic` when it was handed to the connection. */
  wallMs: number;
  monoMs: number;
}

export type AckJudgement =
  | { ok: true; streams: Record<string, number>; beat: Beat }
  | { ok: false; code: 'WRONG_BOX' | 'STALE_ACK'; why: string };

/**
 * What a (rightly signed) acknowledgement is worth. It must answer one of our own recent heartbeats: a broker that
 * replays an old one could otherwise empty the outbox of a box that was set up anew, or fake that the center lives.
 * A stream is acknowledged at most as far as it was sent.
 */
export function judgeAck(
  ack: Ack,
  box: string,
  beats: readonly Beat[],
  sent: ReadonlyMap<string, number>,
): AckJudgement {
  if (ack.box !== box) return { ok: false, code: 'WRONG_BOX', why: `it is for ${ack.box}` };
  const beat = beats.find((b) => b.nonce === ack.heartbeat);
  if (beat === undefined) return { ok: false, code: 'STALE_ACK', why: 'it answers none of our recent heartbeats' };
  const streams: Record<string, number> = {};
  for (const [stream, sequence] of Object.entries(ack.streams)) {
    const limit = sent.get(stream);
    if (limit !== undefined) streams[stream] = Math.min(sequence, limit);
  }
  return { ok: true, streams, beat };
}
