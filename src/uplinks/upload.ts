import type { Agent as HttpAgent } from 'node:http';
import { withDeadline, type Clock } from '../base/clock.js';
import { BluelightError, errorMessage } from '../base/errors.js';
import {
  clipConfirmation,
  deliveryReceipt,
  RECEIPT_TYPE,
  type ClipConfirmation,
  type DeliveryReceipt,
} from '../contract/upload.js';
import { openJws } from '../proof/jws.js';
import { request } from './http.js';
import { failed, judgeAnswer } from './outcome.js';
import type { UploadJob, UploadOutcome } from './ports.js';
import { sendByTus } from './tus.js';

export interface UploaderOptions {
  clock: Clock;
  agent: HttpAgent;
  /** Upload address of the claim. */
  base: string;
  /** The center's public key. */
  centerKey: string;
  chunkBytes: number;
  stallMs: number;
}

type Failed = Extract<UploadOutcome, { state: 'failed' }>;

/**
 * Manifest ahead, file by tus, and then the center's signed word that it holds these very bytes: only that is
 * `delivered` (contract/upload). A clip that is already there is delivered without sending it again.
 */
export async function uploadClip(options: UploaderOptions, job: UploadJob): Promise<UploadOutcome> {
  try {
    const ahead = await confirmation(options, job, 'PUT');
    if ('code' in ahead) return ahead;
    if (ahead.state === 'delivered') return judgeReceipt(ahead, options.centerKey, job);
    const url = resumeAt(options, job, ahead);
    const tus = { ...options, endpoint: `${options.base.replace(/\/$/, '')}/files` };
    let sent = await sendByTus(tus, job, url);
    if (sent.state === 'failed' && sent.code === 'UPLOAD_GONE' && url !== null) {
      await job.onProgress({ url: null, offset: 0 });
      sent = await sendByTus(tus, { ...job, offset: 0 }, null);
    }
    if (sent.state !== 'complete') return sent;
    const after = await confirmation(options, job, 'GET');
    return 'code' in after ? after : judgeReceipt(after, options.centerKey, job);
  } catch (error) {
    if (job.signal.aborted) return { state: 'stopped' };
    if (error instanceof BluelightError) return failed(error.code, error.message, { retryable: error.retryable });
    return failed('UPLOAD_CUT', `the connection broke: ${errorMessage(error)}`);
  }
}

/** Where to go on: our own memory first, else what the center kept of an attempt that we forgot. */
function resumeAt(options: UploaderOptions, job: UploadJob, ahead: ClipConfirmation): string | null {
  const offered = ahead.upload === null ? null : new URL(ahead.upload, options.base).href;
  if (job.url !== null) return job.url;
  return offered !== null && ahead.offset <= job.offset + options.chunkBytes ? offered : null;
}

async function confirmation(
  options: UploaderOptions,
  job: UploadJob,
  method: 'PUT' | 'GET',
): Promise<ClipConfirmation | Failed> {
  const url = `${options.base.replace(/\/$/, '')}/clips/${job.clip}${method === 'PUT' ? '/manifest' : ''}`;
  const ask = { method, url, signal: job.signal, ...(method === 'PUT' ? { json: job.manifest } : {}) };
  const late = (): Error =>
    new BluelightError('UPLOAD_STALLED', 'the center did not answer in time', { retryable: true });
  const answer = await withDeadline(options.clock, options.stallMs, request(options.agent, ask), late);
  if (answer.status !== 200) {
    return judgeAnswer(answer.status, answer.body, answer.headers['retry-after'], options.clock.now());
  }
  try {
    const parsed = clipConfirmation.parse(JSON.parse(answer.body));
    if (parsed.clip === job.clip) return parsed;
  } catch (error) {
    return failed('NOT_THE_CENTER', `something else than the center answered: ${errorMessage(error).slice(0, 120)}`);
  }
  return failed('NOT_THE_CENTER', 'the answer is about another clip');
}

function judgeReceipt(answer: ClipConfirmation, centerKey: string, job: UploadJob): UploadOutcome {
  if (answer.state !== 'delivered' || answer.receipt === null) {
    return failed('NOT_CONFIRMED', 'all bytes were sent, but the center does not confirm them', { restart: true });
  }
  let receipt: DeliveryReceipt;
  try {
    const { payload } = openJws(answer.receipt, { type: RECEIPT_TYPE, trusted: [centerKey] });
    receipt = deliveryReceipt.parse(payload);
  } catch (error) {
    return failed('BAD_RECEIPT', `the receipt is not the center's: ${errorMessage(error)}`);
  }
  const same = receipt.clip === job.clip && receipt.box === job.box && receipt.bytes === job.bytes;
  if (!same || receipt.sha256 !== job.sha256) {
    return failed('HASH_MISMATCH', 'the center holds other bytes than we sent', { restart: true });
  }
  return { state: 'delivered', receipt };
}
