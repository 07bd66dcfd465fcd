/** Bytes that the kernel has seen on an interface, since it exists. */
export interface Counter {
  sent: number;
  received: number;
}

/** `/proc/net/dev` (proc(5)): of the network namespace of whoever reads it. */
export function parseCounters(text: string): Map<string, Counter> {
  const counters = new Map<string, Counter>();
  for (const line of text.split('\n')) {
    const match = /^\s*([^\s:]+):\s*(.*)$/.exec(line);
    const columns = match?.[2]?.trim().split(/\s+/).map(Number) ?? [];
    if (match === null || columns.length < 9) continue;
    counters.set(match[1]!, { received: columns[0]!, sent: columns[8]! });
  }
  return counters;
}

/** What was added since. An interface that was made anew (a modem that was plugged in again) counts from 0. */
export function counterDelta(before: Counter | undefined, now: Counter): Counter {
  if (before === undefined || now.sent < before.sent || now.received < before.received) return now;
  return { sent: now.sent - before.sent, received: now.received - before.received };
}

/** Headers, acknowledgements and repeated packets: more than this beyond the payload is somebody else's traffic. */
const HEADERS = 1.3;
/** Handshakes and bare acknowledgements of a period in which hardly any payload moved. */
const SMALL = 2_000;

/**
 * Divides what the kernel counted among the purposes, by what their sockets moved; the sum is the kernel's. What the
 * sockets cannot explain went through none of them: `other`.
 */
export function apportion<P extends string>(
  wire: Counter,
  sockets: readonly (Counter & { class: P })[],
): (Counter & { class: P | 'other' })[] {
  const part = (direction: 'sent' | 'received'): number[] => {
    const sum = sockets.reduce((total, one) => total + one[direction], 0);
    const weight = sum > 0 ? sockets.map((one) => one[direction] / sum) : sockets.map(() => 1 / sockets.length);
    const ours = Math.min(wire[direction], Math.round(sum * HEADERS) + (sockets.length > 0 ? SMALL : 0));
    const parts = weight.map((share) => Math.floor(share * ours));
    const rest = wire[direction] - parts.reduce((total, one) => total + one, 0);
    return [...parts, rest];
  };
  const sent = part('sent');
  const received = part('received');
  return [...sockets.map((one) => one.class), 'other' as const]
    .map((name, i) => ({ class: name, sent: sent[i]!, received: received[i]! }))
    .filter((one) => one.sent > 0 || one.received > 0);
}
