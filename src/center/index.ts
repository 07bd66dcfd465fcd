import { randomBytes } from 'node:crypto';
import { BluelightError, errorMessage, isAbort, toErrorData } from '../base/errors.js';
import { withDeadline } from '../base/clock.js';
import { ulid } from '../base/ids.js';
import type { Log } from '../base/log.js';
import type { JobMessage } from '../contract/commands.js';
import {
  ackMessage,
  centerStatusMessage,
  centerStatusTopic,
  eventData,
  statusMessage,
  topics,
  type EventType,
  type InfoMessage,
  type StatusMessage,
} from '../contract/messages.js';
import { toUtc } from '../contract/primitives.js';
import { ACK_TYPE } from '../contract/upload.js';
import { openJws } from '../proof/jws.js';
import type { OutboxClass } from '../store/outbox.js';
import { Drain } from './drain.js';
import { judgeAck, planReconnect, type Beat } from './plan.js';
import { CenterReports } from './reports.js';
import { dialDirect, openSession, endError, type Session, type SessionEnd } from './session.js';
import type { Center, CenterOptions, CenterStatus } from './types.js';

export type { Dial, DialTarget, HeartbeatSource, Inbox, OutboxPort, ReportsPort } from './ports.js';
export type { Center, CenterOptions, CenterStatus } from './types.js';
export { dialDirect } from './session.js';

/** How far an event may fill the outbox while the center is away: updates give way first. */
const EVENT_CLASS: Record<EventType, OutboxClass> = {
  'bluelight.motion.start': 'normal',
  'bluelight.motion.update': 'low',
  'bluelight.motion.end': 'normal',
  'bluelight.clip': 'high',
  'bluelight.alarm.raised': 'critical',
  'bluelight.alarm.cleared': 'critical',
  'bluelight.checkpoint': 'high',
  'bluelight.anchor': 'normal',
};
const BEATS_KEPT = 20;
/** A connection that lasted this long starts the waits anew. */
const STABLE_MS = 60_000;
/** After a new connection the drain waits this long for the center to say what it has, so that little is sent twice. */
const FIRST_ACK_MS = 3_000;

export function createCenter(options: CenterOptions): Center {
  return new Client(options);
}

/** The broker keeps commands for a box that is away; the center says in each how long it is worth keeping. */
const SESSION_KEPT_S = 86_400;
const DRAIN_RETRY_MS = 15_000;
/** A broker that hangs must not hold up the stop of the agent. */
const FAREWELL_MS = 3_000;

interface Live {
  session: Session;
  id: string;
  drain: Drain | undefined;
  firstAck: AbortController;
  over: AbortController;
}

class Client implements Center {
  readonly #o: CenterOptions;
  readonly #log: Log;
  readonly #topics: ReturnType<typeof topics>;
  readonly #reports: CenterReports | undefined;
  readonly #stop = new AbortController();
  readonly #sent = new Map<string, number>();
  readonly #beats: Beat[] = [];
  #running: Promise<void> | undefined;
  #live: Live | undefined;
  #state: CenterStatus['state'] = 'stopped';
  #seq = 0;
  #depth = 0;
  #reached: Beat | null = null;
  /** Time of the center minus monotonic time of the box: a step of the wall clock is known at once. */
  #centerMinusMono: number | null = null;
  #centerOnline: boolean | null = null;
  #lastError: CenterStatus['lastError'] = null;
  #nextAttemptAt: number | null = null;

  constructor(options: CenterOptions) {
    this.#o = options;
    this.#log = options.log.child({ room: 'center' });
    this.#topics = topics(options.claim.site, options.claim.box);
    const { clock, reports } = options;
    this.#reports = reports === undefined ? undefined : new CenterReports(clock, this.#topics, reports);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(reason: 'shutdown' | 'update' | 'power'): Promise<void> {
    await this.#end(false, (live) => this.#publishStatus(live.session, live.id, 'offline', reason));
  }

  leave(): Promise<boolean> {
    const { status, info, heartbeat } = this.#topics;
    return this.#end(true, async ({ session }) => {
      await this.#reports?.clear(session);
      // A retained message of no length clears what the broker keeps (MQTT v5 §3.3.1.3).
      for (const topic of [info, heartbeat, status]) await session.publish(topic, '', { qos: 1, retain: true });
    });
  }

  /** True: the farewell reached the broker. */
  async #end(forget: boolean, farewell: (live: Live) => Promise<void>): Promise<boolean> {
    this.#stop.abort();
    const live = this.#live;
    let taken = false;
    if (live !== undefined) {
      live.over.abort();
      live.drain?.stop();
      live.firstAck.abort();
      const late = (): Error => new BluelightError('CENTER_SLOW', 'the broker did not take our leave in time');
      const said = farewell(live).then(async () => {
        taken = true;
        await live.session.end(forget);
      });
      await withDeadline(this.#o.clock, FAREWELL_MS, said, late).catch((error: unknown) => this.#note(error));
      live.session.destroy();
    }
    await this.#running;
    this.#state = 'stopped';
    return taken;
  }

  async event(event: { type: EventType; stream: string; data: unknown; timeMs?: number }): Promise<boolean> {
    const { type, stream } = event;
    const timeMs = event.timeMs ?? this.#o.clock.now();
    const data: unknown = eventData[type].parse(event.data);
    const entry = { stream, id: ulid(timeMs), class: EVENT_CLASS[type], type, timeMs, data };
    if ((await this.#o.outbox.append(entry)) === null) {
      this.#log.error({ type, stream }, 'the outbox is full; an event was given up');
      return false;
    }
    this.#depth++;
    this.#live?.drain?.kick();
    return true;
  }

  async refresh(): Promise<void> {
    if (this.#live !== undefined) await this.#publishInfo(this.#live.session, this.#live.id);
  }

  async reportPolicy(): Promise<void> {
    if (this.#live !== undefined) await this.#reports?.policy(this.#live.session);
  }

  async reportJob(job: JobMessage): Promise<void> {
    const session = this.#live?.session;
    if (session === undefined) return;
    // A connection that breaks meanwhile loses nothing: the next one tells it again.
    await this.#reports?.job(session, job).catch((error: unknown) => this.#note(error));
  }

  async rebirth(): Promise<void> {
    const live = this.#live;
    if (live === undefined) return;
    await this.#publishInfo(live.session, live.id);
    await this.#publishStatus(live.session, live.id, 'online', 'connected');
    await this.#reports?.birth(live.session);
    await this.#beat(live.session);
  }

  async beat(): Promise<void> {
    if (this.#live !== undefined) await this.#beat(this.#live.session);
  }

  status(): CenterStatus {
    const reached = this.#reached;
    const { clock } = this.#o;
    return {
      state: this.#state,
      session: this.#live?.id ?? null,
      centerReachedAt: reached?.wallMs ?? null,
      centerReachedAgoMs: reached === null ? null : clock.monotonic() - reached.monoMs,
      clockOffsetMs: this.#centerMinusMono === null ? null : clock.now() - clock.monotonic() - this.#centerMinusMono,
      centerOnline: this.#centerOnline,
      outbox: this.#depth,
      inFlight: this.#live?.drain?.inFlight() ?? 0,
      lastError: this.#lastError,
      nextAttemptAt: this.#nextAttemptAt,
    };
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      this.#nextAttemptAt = null;
      this.#state = 'connecting';
      const started = this.#o.clock.monotonic();
      let end: SessionEnd | undefined;
      try {
        end = await this.#connection();
        if (!this.#stop.signal.aborted) this.#note(endError(end));
      } catch (error) {
        this.#note(error);
        if (error instanceof BluelightError && isEnd(error.cause)) end = error.cause;
      }
      if (this.#stop.signal.aborted) return;
      failures = this.#o.clock.monotonic() - started > STABLE_MS ? 1 : failures + 1;
      const wait = planReconnect(failures, end?.reason, this.#o.random ?? Math.random);
      this.#state = 'waiting';
      this.#nextAttemptAt = this.#o.clock.now() + wait;
      await this.#o.clock.sleep(wait, this.#stop.signal).catch(ignoreAbort);
    }
  }

  /** One connection from dialling to its end. */
  async #connection(): Promise<SessionEnd> {
    const { claim, clock } = this.#o;
    const id = ulid(clock.now());
    const will: StatusMessage = { schema: 1, state: 'lost', reason: 'connection', session: id, ts: toUtc(clock.now()) };
    const session = await openSession({
      brokerUrl: claim.center.broker,
      clientId: `bluelight-${claim.site}-${claim.box}`,
      username: claim.center.username,
      password: claim.center.password,
      ca: claim.center.ca,
      keepaliveS: this.#o.keepaliveS?.() ?? 20,
      sessionExpiryS: SESSION_KEPT_S,
      willDelayS: this.#o.willDelayS ?? 5,
      will: { topic: this.#topics.status, payload: JSON.stringify(will) },
      dial: this.#o.dial ?? dialDirect,
      onMessage: (topic, payload) => this.#receive(topic, payload),
      signal: this.#stop.signal,
    });
    if (this.#stop.signal.aborted) {
      await session.end(false);
      return session.ended;
    }
    const live: Live = { session, id, drain: undefined, firstAck: new AbortController(), over: new AbortController() };
    this.#live = live;
    void session.ended.then(() => live.firstAck.abort());
    const stopBeating = clock.every(this.#o.heartbeatMs?.() ?? 30_000, () => this.#beat(session));
    try {
      await this.#birth(session, id);
      this.#state = 'connected';
      this.#log.info({ session: id, broker: new URL(claim.center.broker).host }, 'connected to the center');
      await clock.sleep(FIRST_ACK_MS, live.firstAck.signal).catch(ignoreAbort);
      await Promise.race([this.#drainFor(live), session.ended]);
    } catch (error) {
      session.destroy();
      throw error;
    } finally {
      stopBeating();
      live.over.abort();
      live.drain?.stop();
      if (this.#live === live) this.#live = undefined;
    }
    return session.ended;
  }

  async #birth(session: Session, id: string): Promise<void> {
    await this.#publishInfo(session, id);
    await this.#publishStatus(session, id, 'online', 'connected');
    const { ack, status, enrolment, operators, command, policyProposed } = this.#topics;
    const asks = this.#o.inbox === undefined ? [] : [operators, policyProposed, command('#')];
    await session.subscribe([ack, status, enrolment, centerStatusTopic(this.#o.claim.center.id), ...asks]);
    // A broker that refuses these still takes heartbeats.
    await this.#reports?.birth(session).catch((error: unknown) => this.#note(error));
    this.#depth = (await this.#o.outbox.stats()).rows;
    await this.#beat(session);
  }

  /** A refusal by the broker or a slow store stops the events for a while, not the session and its heartbeats. */
  async #drainFor(live: Live): Promise<void> {
    while (!live.over.signal.aborted) {
      const drain = this.#newDrain(live.session);
      live.drain = drain;
      try {
        await drain.run();
      } catch (error) {
        drain.stop();
        if (live.over.signal.aborted) return;
        this.#note(error);
        await this.#o.clock.sleep(DRAIN_RETRY_MS, live.over.signal).catch(ignoreAbort);
      }
    }
  }

  #newDrain(session: Session): Drain {
    return new Drain({
      clock: this.#o.clock,
      outbox: this.#o.outbox,
      source: this.#topics.root,
      sent: this.#sent,
      window: 500,
      perSecond: this.#o.eventsPerSecond ?? 200,
      resendAfterMs: this.#o.resendAfterMs ?? 20_000,
      publish: (event) =>
        session.publish(this.#topics.event(event.type.split('.')[1]!), JSON.stringify(event), {
          qos: 1,
          retain: false,
        }),
    });
  }

  #publishInfo(session: Session, id: string): Promise<void> {
    const info: InfoMessage = { schema: 1, session: id, ts: toUtc(this.#o.clock.now()), ...this.#o.info() };
    return session.publish(this.#topics.info, JSON.stringify(info), { qos: 1, retain: true });
  }

  #publishStatus(session: Session, id: string, state: StatusMessage['state'], reason: string): Promise<void> {
    const status: StatusMessage = { schema: 1, state, reason, session: id, ts: toUtc(this.#o.clock.now()) };
    return session.publish(this.#topics.status, JSON.stringify(status), { qos: 1, retain: true });
  }

  /** QoS 0 and never queued: a heartbeat is absolute, only the newest counts. */
  async #beat(session: Session): Promise<void> {
    const beat: Beat = {
      nonce: randomBytes(12).toString('base64url'),
      wallMs: this.#o.clock.now(),
      monoMs: this.#o.clock.monotonic(),
    };
    try {
      const message = await this.#o.heartbeat({ seq: this.#seq++, nonce: beat.nonce, outbox: this.#depth });
      this.#beats.unshift(beat);
      this.#beats.splice(BEATS_KEPT);
      await session.publish(this.#topics.heartbeat, JSON.stringify(message), { qos: 0, retain: true });
    } catch (error) {
      this.#note(error);
    }
  }

  /** Everything that comes in is from outside: size, form, signature and purpose are checked before it counts. */
  #receive(topic: string, payload: Buffer): void {
    try {
      if (topic === this.#topics.ack) this.#onAck(payload.toString('utf8'));
      else if (topic === this.#topics.status) this.#onOwnStatus(payload);
      else if (topic === this.#topics.enrolment) this.#o.onEnrolment?.(payload.toString('utf8'));
      else if (topic === centerStatusTopic(this.#o.claim.center.id)) {
        this.#centerOnline = payload.length === 0 ? null : centerStatusMessage.parse(parseJson(payload)).online;
      } else if (payload.length > 0) this.#ask(topic, payload.toString('utf8'));
    } catch (error) {
      this.#log.warn({ topic, error: toErrorData(error) }, 'a message from the broker was refused');
    }
  }

  #ask(topic: string, text: string): void {
    const { inbox } = this.#o;
    if (topic === this.#topics.operators) inbox?.operators(text);
    else if (topic === this.#topics.policyProposed) inbox?.proposal(text);
    else if (topic.startsWith(this.#topics.command(''))) inbox?.command(text);
  }

  #onAck(text: string): void {
    const { payload } = openJws(text, { type: ACK_TYPE, trusted: [this.#o.claim.center.key] });
    const ack = ackMessage.parse(payload);
    const judged = judgeAck(ack, this.#o.claim.box, this.#beats, this.#sent);
    if (!judged.ok) throw new BluelightError(judged.code, `an acknowledgement does not count: ${judged.why}`);
    if (this.#reached === null || judged.beat.monoMs > this.#reached.monoMs) {
      this.#reached = judged.beat;
      // Signed between the heartbeat and now: half way is off by half the round trip at most.
      this.#centerMinusMono = Date.parse(ack.ts) - (judged.beat.monoMs + this.#o.clock.monotonic()) / 2;
    }
    this.#centerOnline = true;
    this.#live?.firstAck.abort();
    this.#forget(judged.streams).catch((error: unknown) => this.#note(error));
  }

  async #forget(streams: Record<string, number>): Promise<void> {
    if (Object.keys(streams).length > 0) {
      await this.#o.outbox.ack(streams);
      this.#depth = (await this.#o.outbox.stats()).rows;
    }
    this.#live?.drain?.acked(streams);
  }

  /** Another session's word on our own retained status (a will that came late) must not stand. */
  #onOwnStatus(payload: Buffer): void {
    const live = this.#live;
    if (live === undefined || this.#stop.signal.aborted || this.#state !== 'connected') return;
    const stale = payload.length === 0 || statusMessage.parse(parseJson(payload)).session !== live.id;
    if (!stale) return;
    this.#log.warn({ session: live.id }, 'our retained status was overwritten by another session; said again');
    this.#publishStatus(live.session, live.id, 'online', 'connected').catch((error: unknown) => this.#note(error));
  }

  #note(error: unknown): void {
    if (isAbort(error)) return;
    this.#lastError = { ...toErrorData(error), at: this.#o.clock.now() };
    this.#log.warn({ error: this.#lastError }, errorMessage(error));
  }
}

function parseJson(payload: Buffer): unknown {
  return JSON.parse(payload.toString('utf8')) as unknown;
}

function isEnd(value: unknown): value is SessionEnd {
  return typeof value === 'object' && value !== null && 'message' in value && !(value instanceof Error);
}

function ignoreAbort(error: unknown): void {
  if (!isAbort(error)) throw error;
}
