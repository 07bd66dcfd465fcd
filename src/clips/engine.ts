import { BluelightError, isAbort, toErrorData } from '../base/errors.js';
import { ulid } from '../base/ids.js';
import type { Log } from '../base/log.js';
import { signedManifest, type Priority, type SignedManifest } from '../contract/clip.js';
import type { Anchor } from '../contract/evidence.js';
import type { MotionEvent } from '../contract/motion.js';
import type { Door, Party } from '../contract/policy.js';
import { streamId } from '../contract/primitives.js';
import type { ClipChange, LeasedClip, StoredClip, WaitingClip } from '../store/clips.js';
import { fileName } from './manifest.js';
import { MotionClips } from './motion-clips.js';
import { SPLIT_PIECES } from './motion-plan.js';
import type { Lease, Waiting } from './ports.js';
import { isFinal, prepare, roleOf, type Prepared, type PrepareOptions } from './prepare.js';
import { decodeParty, encodeParty } from './party.js';
import { described, Sender } from './sender.js';

import type { ClipRequest, Clips, ClipsOptions, OpenedClip } from './api.js';

const DAY_MS = 86_400_000;

/** Takes requests, sends what is queued one at a time by its rank, and keeps the ring from deleting what waits. */
export class Engine implements Clips {
  readonly #o: ClipsOptions;
  readonly #prepare: PrepareOptions;
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #sender: Sender;
  readonly #motion: MotionClips;
  #wake: AbortController | undefined;
  #again = false;
  #current: { clip: StoredClip; abort: AbortController } | undefined;
  /** Given up while they may be on their way: the attempt that runs ends first. */
  readonly #cancelled = new Map<string, string>();
  #running: Promise<void> | undefined;

  constructor(options: ClipsOptions) {
    this.#o = options;
    this.#prepare = { ...options, closeWaitMs: options.closeWaitMs ?? 30_000 };
    this.#log = options.log.child({ room: 'clips' });
    const { clock, table, uplinks, random, autoMaxAgeMs = 7 * DAY_MS } = options;
    this.#sender = new Sender({
      clock,
      log: this.#log,
      prepare: this.#prepare,
      table,
      uplinks,
      autoMaxAgeMs,
      random,
      change: (clip, change) => this.#change(clip, change),
      split: (clip, parts) => this.#split(clip, parts),
    });
    this.#motion = new MotionClips({ clock, log: this.#log, settings: options.motion }, (plan) =>
      this.request({
        camera: plan.camera,
        fromMs: plan.fromMs,
        toMs: plan.toMs,
        rendition: options.motion.rendition,
        priority: 'auto',
        party: { kind: 'agent' },
        door: 'auto',
        reason: 'motion',
        motionEvent: plan.event,
        piece: plan.piece,
        send: true,
      }),
    );
  }

  async start(motion: readonly MotionEvent[] = []): Promise<void> {
    const recent = await this.#o.table.list({ fromMs: this.#o.clock.now() - DAY_MS, limit: 10_000 });
    this.#motion.resume(recent, motion);
    await this.#lease();
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new BluelightError('SHUTDOWN', 'the agent stops'));
    this.#wake?.abort();
    this.#motion.stop();
    await this.#running;
  }

  async request(request: ClipRequest): Promise<StoredClip | null> {
    const { table, clock } = this.#o;
    const id = ulid(clock.now());
    const inserted = await table.insert({
      id,
      camera: request.camera,
      fromMs: request.fromMs,
      toMs: request.toMs,
      rendition: request.rendition,
      priority: request.priority,
      state: request.send ? 'queued' : 'local',
      detail: '',
      motionEvent: request.motionEvent ?? null,
      piece: request.piece ?? 0,
      covers: request.covers,
      createdMs: clock.now(),
      requester: encodeParty(request.party, request.door),
      reason: request.reason,
      caseNo: request.caseNo,
      job: request.job,
    });
    if (!inserted) return null;
    const clip = (await table.get(id))!;
    await this.#o.onState(clip);
    if (!request.send) return this.#makeLocal(clip, request);
    await this.#lease();
    if (this.#current !== undefined && preempts(clip, this.#current.clip)) this.#current.abort.abort();
    this.kick();
    return clip;
  }

  motion(event: MotionEvent): void {
    this.#motion.take(event);
  }

  async cancelJob(job: string, why: string): Promise<void> {
    const states: StoredClip['state'][] = ['queued', 'uploading', 'withheld'];
    const clips = await this.#o.table.list({ states, limit: 10_000 });
    for (const clip of clips.filter((one) => one.job === job)) {
      this.#cancelled.set(clip.id, why);
      if (this.#current?.clip.id === clip.id) this.#current.abort.abort();
      else await this.#giveUp(clip.id);
    }
    await this.#lease();
  }

  /** Only what was cancelled and has not come to another end. */
  async #giveUp(id: string): Promise<void> {
    const why = this.#cancelled.get(id);
    if (why === undefined) return;
    this.#cancelled.delete(id);
    const clip = await this.#o.table.get(id);
    if (clip === null || clip.state === 'delivered' || clip.state === 'failed') return;
    await this.#change(clip, { state: 'failed', detail: `CANCELED: ${why}` });
  }

  kick(): void {
    this.#again = true;
    this.#wake?.abort();
  }

  async retryWithheld(codes: readonly string[]): Promise<number> {
    const withheld = await this.#o.table.list({ states: ['withheld'], limit: 10_000 });
    let count = 0;
    for (const clip of withheld) {
      if (!codes.some((code) => clip.detail.startsWith(`${code}:`))) continue;
      await this.#change(clip, { state: 'queued', detail: '', notBeforeMs: 0 });
      count++;
    }
    if (count > 0) this.kick();
    return count;
  }

  list(ask: { camera?: string; limit: number }): Promise<StoredClip[]> {
    return this.#o.table.list(ask);
  }

  get(id: string): Promise<StoredClip | null> {
    return this.#o.table.get(id);
  }

  async manifest(id: string): Promise<SignedManifest | null> {
    const clip = await this.get(id);
    const text = clip?.manifest ?? null;
    return text === null ? null : signedManifest.parse(JSON.parse(text));
  }

  anchor(id: string): Promise<Anchor | null> {
    return this.#o.table.anchor(id);
  }

  async checkpointed(): Promise<void> {
    const { table, anchors, clock } = this.#o;
    for (const { seq, ...clip } of await table.unanchored({ sinceMs: clock.now() - DAY_MS })) {
      const anchor = await anchors.anchor({ stream: streamId(clip.camera, roleOf(clip)), seq });
      if (anchor === null) continue;
      const delivered = (await table.get(clip.id))?.state === 'delivered';
      // First on its way, then no longer waited for: the same anchor twice does no harm.
      if (delivered && !(await this.#o.onAnchor(clip, anchor))) continue;
      await table.setAnchor({ id: clip.id, anchor });
    }
  }

  async open(id: string, who: { party: Party; door: Door }): Promise<OpenedClip> {
    const clip = await this.get(id);
    if (clip === null) throw new BluelightError('CLIP_UNKNOWN', `there is no clip ${id}`);
    const prepared = await prepare(this.#prepare, clip, who, this.#stop.signal);
    if (prepared.do !== 'ready') throw notReady(prepared);
    const { grant, file, sha256, manifest } = prepared;
    // Whoever gets the file can get its manifest, also before its turn to be sent.
    if (clip.manifest === null) await this.#o.table.update({ id, change: described(prepared) });
    const finished = ({ bytes, whole }: { bytes: number; whole: boolean }): Promise<void> => {
      const why = `clip ${id} read by a person`;
      return this.#o.gate.finished(grant, { outcome: whole ? 'done' : 'failed', bytes, why });
    };
    return { name: fileName(clip), bytes: file.bytes, sha256, manifest, file, finished };
  }

  /** Waits for the end of the range to be on disk, then hashes and signs; nothing is copied. */
  async #makeLocal(clip: StoredClip, who: { party: Party; door: Door }): Promise<StoredClip> {
    try {
      for (let known = clip; ;) {
        const prepared = await prepare(this.#prepare, known, who, this.#stop.signal);
        if (prepared.do === 'ready') {
          await this.#o.gate.finished(prepared.grant, { outcome: 'done', bytes: 0, why: 'clip made' });
          return await this.#change(known, described(prepared));
        }
        if (prepared.do === 'split') known = await this.#split(known, prepared);
        else if (prepared.do === 'wait') {
          await this.#o.clock.sleep(Math.max(500, prepared.untilMs - this.#o.clock.now()), this.#stop.signal);
        } else throw notReady(prepared);
      }
    } catch (error) {
      const data = toErrorData(error);
      const state = isFinal(error) ? 'failed' : 'local';
      await this.#change(clip, { state, detail: `${data.code}: ${data.message}` });
      throw error;
    }
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        const untilMs = await this.#step();
        if (untilMs !== undefined) await this.#idle(untilMs);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#log.error({ error: toErrorData(error) }, 'the queue of clips had to pause');
        await this.#idle(this.#o.clock.now() + 5_000);
      }
    }
  }

  /** One clip, one attempt. Gives the wall clock at which to look again if there is nothing to do. */
  async #step(): Promise<number | undefined> {
    const { table, uplinks, clock } = this.#o;
    const plan = uplinks.plan((await table.waiting({ limit: 1_000 })).map(waiting));
    if (plan.do === 'wait') return plan.untilMs ?? clock.now() + 60_000;
    const clip = await table.get(plan.id);
    if (clip === null) return clock.now() + 1_000;
    const abort = new AbortController();
    const end = (): void => abort.abort();
    this.#stop.signal.addEventListener('abort', end, { once: true });
    this.#current = { clip, abort };
    try {
      await this.#sender.attempt(clip, plan.link, abort.signal);
    } finally {
      this.#current = undefined;
      this.#stop.signal.removeEventListener('abort', end);
    }
    await this.#giveUp(clip.id);
    await this.#lease();
    return undefined;
  }

  async #split(clip: StoredClip, { first, others }: Extract<Prepared, { do: 'split' }>): Promise<StoredClip> {
    const who = decodeParty(clip.requester);
    for (const [i, file] of others.entries()) {
      await this.request({
        camera: clip.camera,
        fromMs: file.startMs,
        toMs: file.endMs,
        covers: { fromMs: file.startMs, toMs: file.endMs },
        rendition: clip.rendition,
        priority: clip.priority,
        ...who,
        reason: clip.reason,
        ...(clip.caseNo === null ? {} : { caseNo: clip.caseNo }),
        ...(clip.job === null ? {} : { job: clip.job }),
        ...(clip.motionEvent === null
          ? {}
          : { motionEvent: clip.motionEvent, piece: clip.piece + SPLIT_PIECES * (i + 1) }),
        send: clip.state !== 'local',
      });
    }
    return this.#change(clip, { coversFromMs: first.startMs, coversToMs: first.endMs });
  }

  async #change(clip: StoredClip, change: ClipChange): Promise<StoredClip> {
    const changed = await this.#o.table.update({ id: clip.id, change });
    await this.#o.onState(changed);
    return changed;
  }

  async #lease(): Promise<void> {
    this.#o.setLeases((await this.#o.table.leased()).map(lease));
  }

  async #idle(untilMs: number): Promise<void> {
    if (this.#again || this.#stop.signal.aborted) {
      this.#again = false;
      return;
    }
    this.#wake = new AbortController();
    try {
      await this.#o.clock.sleep(Math.max(100, untilMs - this.#o.clock.now()), this.#wake.signal);
    } catch (error) {
      if (!isAbort(error)) throw error;
    } finally {
      this.#wake = undefined;
      this.#again = false;
    }
  }
}

const RANK: Record<Priority, number> = { emergency: 0, urgent: 1, routine: 2, auto: 3 };

function preempts(newer: StoredClip, running: StoredClip): boolean {
  return RANK[newer.priority] < RANK[running.priority];
}

function waiting({ bytes, sentBytes, ...clip }: WaitingClip): Waiting {
  return { ...clip, restBytes: bytes === null ? null : bytes - sentBytes };
}

function lease({ id, camera, fromMs, toMs, ...clip }: LeasedClip): Lease {
  return { id: `clip:${id}`, camera, role: roleOf(clip), fromMs, toMs };
}

function notReady(prepared: Exclude<Prepared, { do: 'ready' }>): BluelightError {
  if (prepared.do === 'split') {
    return new BluelightError('SEVERAL_FILES', 'the format changed in this range: it is several files', {
      fix: 'ask for each part by itself',
    });
  }
  if (prepared.do === 'wait') return new BluelightError('NOT_YET', prepared.why, { retryable: true });
  return new BluelightError(prepared.code, prepared.why);
}
