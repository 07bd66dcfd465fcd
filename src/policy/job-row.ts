import { createHash } from 'node:crypto';
import { COMMANDS, type Command, type FootageCommand } from '../contract/commands.js';
import type { AccessRequest, Party } from '../contract/policy.js';
import type { TimeRange } from '../contract/primitives.js';
import type { Job } from '../store/jobs.js';
import type { Admitted } from './command-admission.js';

export type OperatorParty = Extract<Party, { kind: 'operator' }>;

export function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function newJob(
  admitted: Admitted,
  text: string,
  receivedMs: number,
): Omit<Job, 'progress' | 'result' | 'doneMs'> {
  const { command } = admitted;
  return {
    id: command.jobId,
    fingerprint: fingerprint(text),
    name: admitted.name,
    args: admitted.args,
    ...operatorColumns(command),
    reason: command.reason,
    caseNo: command.case ?? null,
    priority: command.priority,
    state: 'QUEUED',
    error: null,
    issuedMs: Date.parse(command.issuedAt),
    expiresMs: Date.parse(command.expiresAt),
    receivedMs,
  };
}

function operatorColumns(command: Command) {
  return { operator: command.by.operator, agency: command.by.agency, role: command.by.role };
}

export function partyOf(job: Job): OperatorParty {
  return { kind: 'operator', operator: job.operator, agency: job.agency, role: job.role };
}

export function accessRequest(
  job: Job,
  party: OperatorParty,
  target: { camera: string; range: TimeRange },
): AccessRequest {
  const kind = COMMANDS[job.name as FootageCommand].access;
  const asked = {
    party,
    door: 'mqtt' as const,
    kind,
    camera: target.camera,
    range: target.range,
    reason: job.reason,
    job: job.id,
    // Whatever picture leaves by it is made with the masks painted over.
    ...(job.name === 'still.request' ? { masksBurned: true } : {}),
  };
  return job.caseNo === null ? asked : { ...asked, case: job.caseNo };
}
