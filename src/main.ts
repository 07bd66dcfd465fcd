import { openState } from './agent-state.js';
import { auditDesk } from './audit-desk.js';
import { systemClock, type Clock } from './base/clock.js';
import { Closing } from './base/closing.js';
import { errorCode, errorMessage } from './base/errors.js';
import { createLog, Redactor, type Log } from './base/log.js';
import type { Processes } from './base/processes.js';
import { Checkpoints } from './checkpoints.js';
import { Stills } from './clips/stills.js';
import { Commands } from './commands.js';
import { clockFacts, readClock } from './health/clock.js';
import { diskFacts } from './health/disk-faults.js';
import { StateWatch } from './health/state-watch.js';
import { assembleStatus, type BoxReading } from './health/status.js';
import { Holds } from './holds.js';
import { Enrolment } from './enrolment.js';
import { Farewell } from './farewell.js';
import { Ledger } from './ledger.js';
import { MotionFlow } from './motion-flow.js';
import { Owner } from './identity/owner.js';
import { Outside } from './outside.js';
import { ownerDesk } from './owner-desk.js';
import { PageEvents } from './page-events.js';
import { openDoors, type Doors } from './people.js';
import { Gate } from './policy/gate.js';
import { longestKept } from './policy/retention.js';
import { readBox } from './reading.js';
import { EXPECTED_DISK, startRecording } from './recording.js';
import { Footage } from './ring/footage.js';
import type { ClockTrust } from './ring/types.js';
import type { Settings } from './settings/table.js';
import { SiteAlarms } from './site-alarms.js';
import { StateLossWatch } from './state-loss.js';
import { SiteZones } from './site-zones.js';
import { SiteCameras } from './site-cameras.js';

export interface AgentOptions {
  settings: Settings;
  clock: Clock;
  processes: Processes;
}

export interface Agent extends Doors {
  /** Resolves if a thread dies: the agent must be started anew. */
  failed: Promise<Error>;
  /** Names of what still hangs, and goes with the process only. */
  stop(): Promise<string[]>;
}

interface Base extends AgentOptions {
  log: Log;
  redactor: Redactor;
  closing: Closing;
}

const TRUST_MS = 1_000;
const STATUS_MS = 2_000;

/**
 * Starts the agent. What was opened is closed again if the start fails.
 * @throws BluelightError of what could not be opened
 */
export async function startAgent({ settings, clock: plainClock, processes }: AgentOptions): Promise<Agent> {
  const redactor = new Redactor();
  const log = createLog({ redactor, level: settings['log.level'] });
  const clock: Clock = {
    ...plainClock,
    every: systemClock((error) => log.error({ error: errorMessage(error) }, 'a periodic task failed')).every,
  };
  const closing = new Closing(clock, log);
  try {
    return await compose({ settings, clock, processes, log, redactor, closing });
  } catch (error) {
    await closing.run();
    throw error;
  }
}

/** Composition root: builds every room and wires them, in the order in which data flows. */
async function compose(base: Base): Promise<Agent> {
  const { settings, clock, log, redactor, closing } = base;
  /** What may fail in the background is told and does not stop the agent. */
  const background = (work: Promise<unknown>): void => {
    work.catch((error: unknown) => log.error({ code: errorCode(error) }, errorMessage(error)));
  };
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => (fail = resolve));
  const state = await openState(base, fail);
  const { store } = state;
  const events = new PageEvents();

  // --- footage: cameras to media thread to ring thread
  const recording = await startRecording({
    ...base,
    store,
    key: state.signer.key,
    onMotion: (event) => background(motion.take(event)),
    onSight: (sight) => alarms.sight(sight),
    onStorm: (storm) => alarms.storm(storm),
    onBlind: (blind) => alarms.blind(blind),
    onView: (view) => background(alarms.saveView(view)),
    onRefused: ({ camera, login }) => background(cameras.room.loginRefused(camera, login)),
    admit: (camera, sinceMono) => cameras.admit(camera, sinceMono),
    onDisk: (disk) => background(store.kv.put({ key: EXPECTED_DISK, value: disk })),
    onDeath: fail,
  });
  const cameras = new SiteCameras({
    ...base,
    store,
    recording,
    background,
    onEvent: (event) => events.tell({ type: 'camera_event', data: event }),
    viewOf: (camera) => alarms.viewOf(camera),
    clockTrusted: () => reading().clock.trusted,
    applyZones: (camera) => zones.apply(camera).catch((error: unknown) => log.error({ camera }, errorMessage(error))),
    onChanged(adopted) {
      alarms.keep(adopted);
      // The center hears of it with its next connection at the latest: no broker may hold up the recording.
      background(outside.refresh());
      loss.touch();
      events.tell({ type: 'cameras', data: {} });
    },
  });
  const footage = new Footage(recording.ring, clock);
  const alarms = await SiteAlarms.open({
    ...base,
    store,
    background,
    streams: recording.streams,
    cameraClocks: () => cameras.clocks,
    facts: () => [...diskFacts(reading()), ...clockFacts(reading().clock), ...loss.facts()],
    send: (alarm, is) => outside.alarm(alarm, is),
    onAlarm(alarm) {
      events.tell({ type: 'alarm', data: alarm });
      // An event goes through the system disk; should that be the trouble, the center still hears of it.
      background(outside.beat());
    },
  });

  const stateWatch = new StateWatch(clock, () => store.kv.put({ key: 'health.asked', value: null }));

  // --- the gate, and everything that leaves through it
  const reading = boxReading();
  const gate = await Gate.open({
    tables: store,
    // Not from here: the main thread touches no disk.
    readPolicyFile: () => store.files.read(settings['policy.file']),
    clockTrusted: () => reading().clock.trusted,
    clock,
    log,
  });
  const ledger = new Ledger({ gate, store, clock });
  closing.add('the gate', async () => {
    await ledger.stopped();
    gate.close();
  });
  const loss = await StateLossWatch.open({ ...base, store, gate });
  closing.add('the copy of the state', () => loss.stop());
  const timeZone = (): string => gate.terms.document?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = new SiteZones({ store, media: recording.media, timeZone });
  gate.onChange(() => {
    for (const { id } of cameras.adopted) background(zones.apply(id));
  });
  // Until the ring has heard of the terms it knows no maximum and keeps more, not less.
  const limitRing = (): void => background(recording.ring.setMaximum(longestKept(gate.terms.document)));
  gate.onChange(limitRing);
  limitRing();
  const { live } = recording;
  const stills = new Stills({ ...base, footage, live });
  const outside: Outside = new Outside({
    ...state,
    clock,
    log,
    settings,
    redactor,
    footage,
    gate,
    reading,
    cameras: () => cameras.adopted,
    protect: (protections) => recording.ring.protect(protections),
    onClip(clip) {
      events.tell({ type: 'clip', data: clip });
      commands.clipChanged();
    },
    anchors: { anchor: (ask) => recording.ring.anchor(ask) },
    stills,
    inbox: {
      command: (text) => commands.inbox.command(text),
      operators: (text) => commands.inbox.operators(text),
      proposal: (text) => commands.inbox.proposal(text),
    },
    jobs: () => commands.recent(),
    onEnrolment: (text) => enrolment.receive(text),
  });
  const enrolment: Enrolment = new Enrolment({
    ...state,
    clock,
    log,
    outside,
    gate,
    onKey: (key) => recording.ring.useKey(key),
    address: settings['center.address'],
  });
  const motion = new MotionFlow({
    ...base,
    store,
    markMotion: (ask) => recording.ring.markMotion(ask),
    send: (event) => outside.motion(event),
    onEvent: (event) => events.tell({ type: 'motion', data: event }),
  });
  closing.add('the way out', () => outside.stop('shutdown'));
  const farewell = new Farewell({ ...state, clock, log, redactor, gate, outside });
  closing.add('the farewell', () => farewell.stop());
  const owner = ownerDesk({
    ...state,
    clock,
    log,
    gate,
    outside,
    stateLost: () => loss.holds,
    owner: new Owner(store, state.logins, clock),
    cameraNames: () => store.cameras.names(),
    ring: recording.ring,
    onAnswer: (approval) => commands.answered(approval),
    onLeft: () => farewell.left(),
    endJobs: () => commands.endAll('NOT_ENROLLED', 'the owner left the program'),
  });
  closing.add('the owner', () => owner.asks.close());
  const { ring } = recording;
  const scan = (): Promise<void> => cameras.room.scan();
  const holds = new Holds({ ...base, store, gate, outside, ring });
  closing.add('holds', () => holds.close());
  const commands: Commands = new Commands({ ...base, store, gate, owner, outside, footage, holds, scan });
  await outside.start();
  commands.start();
  await enrolment.start((reason, by) => owner.letGo(reason, by));
  closing.add('the claim', () => enrolment.stop());
  farewell.start();
  closing.add('motion', () => motion.stop());
  await motion.start();
  const checkpoints = new Checkpoints({
    ...base,
    everyMs: settings['recording.checkpoint'],
    ring: recording.ring,
    tables: store,
    place: () => outside.bound(),
    send: (checkpoint) => outside.checkpoint(checkpoint),
    onMade: () => outside.clips.checkpointed(),
  });
  checkpoints.start();
  // Behind the cameras' last fragments, before the way out: the center may hear of it yet.
  closing.add('the last checkpoint', () => checkpoints.stop());
  startPeriodic();
  // Before what they lead to: their last fragments reach the disk, their last motion events the outbox.
  closing.add('the cameras', () => recording.media.stop(undefined));

  // --- people
  const doors = await openDoors({
    ...base,
    state,
    recording,
    gate,
    owner,
    cameras: cameras.room,
    footage,
    live,
    stills,
    outside,
    holds,
    enrolment,
    ledger,
    audit: auditDesk({ ...state, clock, gate, timeZone, ring: recording.ring, place: () => outside.reading() }),
    events,
    reading,
    alarms,
    zones,
  });
  alarms.start();
  stateWatch.start();
  loss.start();
  await cameras.room.restore();
  await cameras.record();
  cameras.start();
  await ledger.started(settings);
  log.info({ key: state.signer.keyId }, 'the agent runs');
  return { ...doors, failed, stop };

  function boxReading(): () => BoxReading {
    const startedMono = clock.monotonic();
    return () =>
      readBox({
        clock,
        startedMono,
        settings,
        keyId: state.signer.keyId,
        host: state.host,
        gate,
        ring: recording.ringStatus(),
        state: stateWatch.reading,
        streams: recording.streams(),
        outside: enrolment.over(outside.reading()),
        claim: enrolment.notice,
        cameraClocks: cameras.clocks,
        alarms: alarms.active,
      });
  }

  function startPeriodic(): void {
    let told: ClockTrust | undefined;
    const stopTrust = clock.every(TRUST_MS, async () => {
      const center = outside.reading().clock;
      const { source } = readClock({ nowMs: clock.now(), synchronised: state.host.synchronised, center });
      const trust = source === 'center' ? 'ntp' : source;
      if (trust === told) return;
      await recording.ring.clockTrust(trust);
      told = trust;
    });
    const stopStatus = clock.every(STATUS_MS, () => {
      if (events.heard) events.tell({ type: 'status', data: assembleStatus(reading()) });
    });
    closing.add('periodic tasks', () => (stopTrust(), stopStatus(), stateWatch.stop()));
    closing.add('the alarms', () => alarms.stop());
    closing.add('the watch over the cameras', () => cameras.stop());
  }

  async function stop(): Promise<string[]> {
    const hung = await closing.run();
    log.info({ hung }, 'the agent has stopped');
    return hung;
  }
}
