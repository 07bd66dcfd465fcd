import { expect } from 'vitest';
import type { JobMessage } from '../../src/contract/commands.js';

/** What an operator of the center asks of the box at the corner, typed into the center's console; gives the job. */
export async function operatorAsks(
  console: string,
  request: { name: string; args: unknown; lifeS?: number },
): Promise<string> {
  const response = await fetch(`${console}api/requests`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      site: 'jx-int-0042',
      box: 'box-1',
      operator: 'op-1',
      agency: 'rtcc',
      reason: 'a robbery at the corner',
      case: 'C-17',
      ...request,
    }),
  });
  const { job } = (await response.json()) as { job: string };
  expect(response.status).toBe(201);
  return job;
}

/** A clip of the first camera, of some milliseconds up to others ago. */
export function clipOf(nowMs: number, fromAgoMs: number, toAgoMs: number): { name: string; args: unknown } {
  const [from, to] = [fromAgoMs, toAgoMs].map((agoMs) => new Date(nowMs - agoMs).toISOString());
  return { name: 'clip.request', args: { cameras: ['cam-1'], from, to, renditions: ['original'] } };
}

/** The newest that a subscriber heard of a job. */
export function jobIn(lines: readonly { topic: string; payload: string }[], id: string): JobMessage | undefined {
  const last = lines.filter((one) => one.topic.endsWith(id) && one.payload !== '').at(-1);
  return last === undefined ? undefined : (JSON.parse(last.payload) as JobMessage);
}
