import { backoffMs } from '../base/backoff.js';
import type { Clock } from '../base/clock.js';
import { errorMessage, toErrorData } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { ClipChange, StoredClip } from '../store/clips.js';
import { fileName } from './manifest.js';
import { decodeParty } from './party.js';
import type { ClipTable, SendOutcome, UplinkPort } from './ports.js';
import { isDenial, isFinal, prepare, type Prepared, type PrepareOptions } from './prepare.js';

export interface SenderOptions {
  clock: Clock;
  log: Log;
  prepare: PrepareOptions;
  table: ClipTable;
  uplinks: UplinkPort;
  autoMaxAgeMs: number;
  random: (() => number) | undefined;
  change: (clip: StoredClip, change: ClipChange) => Promise<StoredClip>;
  split: (clip: StoredClip, parts: Extract<Prepared, { do: 'split' }>) => Promise<StoredClip>;
}

type Ready = Extract<Prepared, { do: 'ready' }>;

const RETRY = { firstMs: 1_000, factor: 2, maxMs: 300_000 };

/** One attempt at a time to bring a queued clip to the center, and what its outcome means for the clip. */
export class Sender {
  readonly #o: SenderOptions;

  constructor(options: SenderOptions) {
    this.#o = options;
  }

  /** Every trouble ends in a state of the clip; rejects only when the store does. */
  async attempt(clip: StoredClip, link: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#try(clip, link, signal);
    } catch (error) {
      if (!signal.aborted) await this.#trouble(clip, error);
    }
  }

  async #try(clip: StoredClip, link: string, signal: AbortSignal): Promise<void> {
    const age = this.#o.clock.now() - Date.parse(clip.createdAt);
    if (clip.priority === 'auto' && age > this.#o.autoMaxAgeMs) {
      await this.#o.change(clip, { state: 'failed', detail: 'EXPIRED: no uplink could take it in time' });
      return;
    }
    const who = { ...decodeParty(clip.requester), sends: true };
    const prepared = await prepare(this.#o.prepare, clip, who, signal);
    switch (prepared.do) {
      case 'wait':
        await this.#o.change(clip, { notBeforeMs: prepared.untilMs, detail: prepared.why });
        return;
      case 'withhold':
        await this.#o.change(clip, { state: 'withheld', detail: `${prepared.code}: ${prepared.why}` });
        return;
      case 'fail':
        await this.#o.change(clip, { state: 'failed', detail: `${prepared.code}: ${prepared.why}` });
        return;
      case 'split':
        await this.#o.split(clip, prepared);
        return;
      case 'ready':
        return this.#send(clip, prepared, link, signal);
    }
  }

  async #send(clip: StoredClip, ready: Ready, link: string, signal: AbortSignal): Promise<void> {
    const { grant, file, manifest, sha256 } = ready;
    // A new file under the same clip: what the center has of the old one is of no use.
    const fresh = clip.sha256 !== sha256 ? { uploadUrl: null, uploadOffset: 0, sentBytes: 0 } : {};
    let known = await this.#o.change(clip, { state: 'uploading', detail: '', ...described(ready), ...fresh });
    const outcome = await this.#o.uplinks
      .upload(
        {
          clip: clip.id,
          box: this.#o.prepare.box,
          fileName: fileName(clip),
          budgeted: clip.priority !== 'emergency',
          bytes: file.bytes,
          sha256,
          manifest,
          url: known.uploadUrl,
          offset: known.uploadOffset,
          signal: AbortSignal.any([signal, grant.signal]),
          read: (offset, length) => file.read(offset, length),
          onProgress: async (at) => {
            const change = { uploadUrl: at.url, uploadOffset: at.offset, sentBytes: at.offset };
            known = await this.#o.change(known, change);
          },
        },
        link,
      )
      .catch((error: unknown): SendOutcome => {
        if (signal.aborted || grant.signal.aborted) return { state: 'stopped' };
        throw error;
      });
    await this.#settle(clip, known, ready, outcome, signal);
  }

  /** @param before the clip when the attempt began */
  async #settle(
    before: StoredClip,
    clip: StoredClip,
    { grant, file }: Ready,
    outcome: SendOutcome,
    signal: AbortSignal,
  ): Promise<void> {
    const { gate, clock } = this.#o.prepare;
    if (outcome.state === 'delivered') {
      await gate.finished(grant, { outcome: 'done', bytes: file.bytes, why: `clip ${clip.id} delivered` });
      const change = { deliveredMs: clock.now(), sentBytes: file.bytes, uploadOffset: file.bytes, uploadUrl: null };
      await this.#o.change(clip, { state: 'delivered', detail: '', ...change });
      return;
    }
    const why = outcome.state === 'stopped' ? (outcome.why ?? stopReason(grant.signal, signal)) : outcome.message;
    await gate.finished(grant, { outcome: 'failed', bytes: clip.sentBytes, why });
    if (outcome.state === 'stopped') {
      if (grant.signal.aborted && !signal.aborted) {
        const reason = toErrorData(grant.signal.reason);
        // An expired grant is asked for again; a withdrawn one is the owner's no.
        const state = reason.code === 'EXPIRED' ? 'queued' : 'withheld';
        await this.#o.change(clip, { state, detail: state === 'queued' ? '' : `${reason.code}: ${reason.message}` });
      } else await this.#o.change(clip, { state: 'queued', detail: why });
      return;
    }
    await this.#retry(before, clip, outcome);
  }

  async #retry(before: StoredClip, clip: StoredClip, failed: Extract<SendOutcome, { state: 'failed' }>): Promise<void> {
    const detail = `${failed.code}: ${failed.message}`;
    const again: ClipChange = failed.restart
      ? { uploadUrl: null, uploadOffset: 0, sentBytes: 0, manifest: null, sha256: null }
      : {};
    if (!failed.retryable) {
      await this.#o.change(clip, { state: 'failed', detail, ...again });
      return;
    }
    // An attempt that got further is not one of a row of failures.
    const moved = clip.sentBytes > before.sentBytes;
    const attempts = moved ? 1 : clip.attempts + 1;
    const wait = failed.retryAfterMs ?? backoffMs(attempts - 1, RETRY, this.#o.random);
    await this.#o.change(clip, {
      state: 'queued',
      detail,
      attempts,
      notBeforeMs: this.#o.clock.now() + wait,
      ...again,
    });
  }

  async #trouble(clip: StoredClip, error: unknown): Promise<void> {
    const { code, message } = toErrorData(error);
    this.#o.log.warn({ clip: clip.id, error: toErrorData(error) }, errorMessage(error));
    if (isDenial(error)) {
      await this.#o.change(clip, { state: 'withheld', detail: `${code}: ${message}` });
      return;
    }
    if (isFinal(error)) {
      await this.#o.change(clip, { state: 'failed', detail: `${code}: ${message}` });
      return;
    }
    const known = (await this.#o.table.get(clip.id)) ?? clip;
    await this.#retry(clip, known, {
      state: 'failed',
      code,
      message,
      retryable: true,
      restart: false,
      retryAfterMs: null,
    });
  }
}

/** What a clip is once its file is known. */
export function described(ready: Ready): ClipChange {
  return {
    bytes: ready.file.bytes,
    sha256: ready.sha256,
    manifest: JSON.stringify(ready.manifest),
    unanchoredSeq: ready.planned.anchor === undefined ? ready.planned.segments.at(-1)!.seq : null,
    grantId: ready.grant.id,
    coversFromMs: ready.planned.startMs,
    coversToMs: ready.planned.endMs,
  };
}

function stopReason(grant: AbortSignal, mine: AbortSignal): string {
  if (grant.aborted && !mine.aborted) return toErrorData(grant.reason).message;
  return 'stopped for something more urgent, or by the stop of the agent';
}
