import { z } from 'zod';
import type { Door, Party } from '../contract/policy.js';
import { BluelightError } from '../base/errors.js';

const stored = z.object({
  door: z.enum(['page', 'socket', 'http', 'mqtt', 'courier', 'auto']),
  party: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('agent') }),
    z.object({ kind: z.literal('local'), role: z.enum(['technician', 'owner', 'viewer']), name: z.string() }),
    z.object({ kind: z.literal('operator'), operator: z.string(), agency: z.string(), role: z.string() }),
  ]),
});

/** Who asked, through which door: kept with the clip, so that the gate is asked in the same name after a restart. */
export function encodeParty(party: Party, door: Door): string {
  return JSON.stringify({ door, party });
}

/** @throws BluelightError BAD_REQUESTER */
export function decodeParty(text: string): { party: Party; door: Door } {
  try {
    return stored.parse(JSON.parse(text));
  } catch (error) {
    throw new BluelightError('BAD_REQUESTER', 'it is not known who asked for this clip', { cause: error });
  }
}
