import { readFile } from 'node:fs/promises';
import { networkInterfaces, hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MessageChannel, Worker } from 'node:worker_threads';
import { systemClock, type Clock } from './base/clock.js';
import { BluelightError, errorCode, errorMessage } from './base/errors.js';
import { createLog, Redactor, type Log } from './base/log.js';
import type { Processes } from './base/processes.js';
import { connect } from './base/rpc.js';
import { createCameras, type Cameras } from './cameras/cameras.js';
import type { Camera } from './contract/camera.js';
import type { MotionEvent } from './contract/motion.js';
import { Host } from './health/host.js';
import { boxKey } from './identity/box-key.js';
import { pageCertificate } from './identity/certificate.js';
import { Claims } from './identity/claims.js';
import { Logins } from './identity/logins.js';
import type { IngestCamera, IngestStatus } from './ingest/ports.js';
import { LiveHub, type LiveMessage } from './ingest/live.js';
import { Outside } from './outside.js';
import { Gate } from './policy/gate.js';
import { PageEvents } from './page-events.js';
import { readBox } from './reading.js';
import { Footage } from './ring/footage.js';
import type { Protection, RingStatus } from './ring/types.js';
import type { Settings } from './settings/table.js';
import { openStore, type Store } from './store/client.js';
import type { MediaApi, MediaData, RingApi, RingData, WatchNote } from './threads.js';
import { assembleStatus } from './health/status.js';
import { webPorts } from './web-ports.js';
import { createWeb } from './web/server.js';

export interface AgentOptions {
  settings: Settings;
  clock: Clock;
  processes: Processes;
}

export interface Agent {
  page: string;
  socket: string;
  /** Of the technician; at the first start only. */
  loginCode: string | undefined;
  /** Resolves if a thread dies: the agent must be started anew. */
  failed: Promise<Error>;
  stop(): Promise<void>;
}

/** Bytes of fragments that may wait for the disk: half a minute of four cameras. */
const QUEUE_BYTES = 96 * 1024 * 1024;
/** A hung disk must not hang its caller for longer. */
const DISK_DEADLINE_MS = 5_000;
const EXPECTED_DISK = 'ring.disk';

/** Composition root: builds every room and wires them, in the order in which data flows. */
export async function startAgent({ settings, clock: plainClock }: AgentOptions): Promise<Agent> {
  const redactor = new Redactor();
  const log = createLog({ redactor, level: settings['log.level'] });
  const clock: Clock = {
    ...plainClock,
    every: systemClock((error) => log.error({ error: errorMessage(error) }, 'a periodic task failed')).every,
  };
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => (fail = resolve));

  // --- what survives a restart
  const stateDir = settings['state_dir'];
  const store = await openStore({ path: join(stateDir, 'state.db'), clock, onDeath: fail });
  const signer = await boxKey(store, clock);
  const claims = new Claims(store, clock);
  const logins = new Logins(store, clock);
  const host = new Host(clock, log);
  await host.start();
  const events = new PageEvents();
  const cameraClocks = new Map<string, number>();

  // --- footage: cameras to media thread to ring thread
  const channel = new MessageChannel();
  const ringThread = new Worker(new URL('./ring-thread.js', import.meta.url), {
    workerData: await ringData(settings, store, channel.port2),
    transferList: [channel.port2],
  });
  let ringStatus: RingStatus | null = null;
  const ring = connect<RingApi>(ringThread, clock, {
    name: 'the recording disk',
    deadlineMs: DISK_DEADLINE_MS,
    onNote(name, value) {
      if (name === 'status') ringStatus = value as RingStatus;
      if (name === 'disk') kept(store.kv.put({ key: EXPECTED_DISK, value }), log);
    },
  });
  const mediaThread = new Worker(new URL('./media-thread.js', import.meta.url), {
    workerData: mediaData(settings, channel.port1),
    transferList: [channel.port1],
  });
  const streams = new Map<string, IngestStatus>();
  const media = connect<MediaApi>(mediaThread, clock, {
    name: 'the media thread',
    deadlineMs: 10_000,
    onNote(name, value) {
      if (name === 'status') streams.set((value as IngestStatus).stream, value as IngestStatus);
      if (name === 'live') live.take(value as LiveMessage);
      if (name === 'motion') kept(onMotion(value as MotionEvent), log);
      if (name === 'refused') kept(cameras.loginRefused(value as string), log);
    },
  });
  for (const thread of [ringThread, mediaThread]) thread.once('error', fail);
  const live = new LiveHub({
    watch: (stream, on) => media.note('watch', { stream, on } satisfies WatchNote),
  });
  const footage = new Footage(ring.api, clock);

  // --- cameras
  const cameras = createCameras({
    clock,
    log,
    redactor,
    cameras: store.cameras,
    credentials: store.credentials,
    interfaces: settings['cameras.interfaces'],
    allowLoopback: settings['cameras.allow_loopback'],
    onChanged: () => kept(record(), log),
    onRefused: (refused) => {
      for (const camera of refused) kept(media.api.refuse(camera), log);
    },
  });
  let adopted: Camera[] = [];
  const record = async (): Promise<void> => {
    adopted = await cameras.list();
    const known = new Set(adopted.map((camera) => camera.id));
    for (const [stream, status] of streams) if (!known.has(status.camera)) streams.delete(stream);
    await media.api.setCameras(await ingestCameras(cameras, adopted));
    await outside.refresh();
    events.tell({ type: 'cameras', data: {} });
  };

  // --- the gate, and everything that leaves through it
  const gate = await Gate.open({
    tables: store,
    readPolicyFile: () => readIfThere(settings['policy.file']),
    clockTrusted: () => reading().clock.trusted,
    clock,
    log,
  });
  const startedMono = clock.monotonic();
  const reading = () =>
    readBox({
      clock,
      startedMono,
      settings,
      keyId: signer.keyId,
      host,
      gate,
      ring: ringStatus,
      streams: [...streams.values()],
      outside: outside.reading(),
      cameraClocks,
    });
  const outside = new Outside({
    clock,
    log,
    settings,
    store,
    claims,
    signer,
    redactor,
    footage,
    gate,
    reading,
    host,
    cameras: () => adopted,
    protect: (protections: Protection[]) => ring.api.protect(protections),
    onClip: (clip) => events.tell({ type: 'clip', data: clip }),
  });
  const onMotion = async (event: MotionEvent): Promise<void> => {
    await store.motion.save(event);
    events.tell({ type: 'motion', data: event });
    if (event.phase === 'end') {
      const fromMs = Date.parse(event.start) - settings['motion.pre_roll'];
      const toMs = Date.parse(event.end ?? event.start) + settings['motion.post_roll'];
      kept(ring.api.markMotion({ camera: event.camera, fromMs, toMs }), log);
    }
    await outside.motion(event);
  };
  // What a stop in the middle left open has ended as far as anyone can know.
  for (const event of await store.motion.closeOpen({ atMs: clock.now() }))
    await outside.motion({ ...event, phase: 'end' });
  await outside.start();
  const stopTrust = clock.every(1_000, async () => {
    const { source } = reading().clock;
    await ring.api.clockTrust(source === 'center' ? 'ntp' : source);
  });
  const stopStatus = clock.every(2_000, () => events.tell({ type: 'status', data: assembleStatus(reading()) }));

  // --- people
  const certificate = await pageCertificate({ tables: store, clock, log }, ownNames(settings));
  const web = createWeb({
    clock,
    log,
    ports: webPorts({ settings, store, gate, cameras, footage, live, logins, outside, events, reading, log }),
    tls: certificate,
    listen: { host: settings['web.host'], port: settings['web.port'] },
    hosts: settings['web.hosts'],
    pages: fileURLToPath(new URL('./web/pages', import.meta.url)),
  });
  const socket = join(stateDir, 'agent.sock');
  await web.listenSocket(socket);
  const port = await web.listen();
  const loginCode = (await logins.firstCode()) ?? undefined;
  await record();
  await gate.note({
    kind: 'box',
    outcome: 'done',
    party: 'agent',
    door: 'auto',
    action: 'start',
    reason: 'agent started',
  });
  log.info({ key: signer.keyId }, 'the agent runs');

  return {
    page: `https://localhost:${port}/`,
    socket,
    loginCode,
    failed,
    async stop() {
      stopTrust();
      stopStatus();
      await web.close();
      // Cameras end first: their last fragments reach the disk, and the gap after them has its reason.
      await media.api.stop(undefined);
      await ring.api.stop(undefined);
      await outside.stop('shutdown');
      gate.close();
      host.stop();
      await Promise.all([mediaThread.terminate(), ringThread.terminate()]);
      await store.close();
      log.info({}, 'the agent has stopped');
    },
  };
}

/** A task in the background whose failure is told and does not stop the agent. */
function kept(work: Promise<unknown>, log: Log): void {
  work.catch((error: unknown) => log.error({ code: errorCode(error) }, errorMessage(error)));
}

async function ringData(settings: Settings, store: Store, media: MessageChannel['port2']): Promise<RingData> {
  const expected: unknown = await store.kv.get(EXPECTED_DISK);
  return {
    media,
    logLevel: settings['log.level'],
    directory: settings['recording.dir'],
    create: settings['recording.create'],
    expectDisk: typeof expected === 'string' ? expected : undefined,
    segmentMs: settings['recording.segment'],
    // Names this boot: monotonic times of different boots must not be compared.
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    limits: {
      quotaBytes: settings['recording.quota'],
      reserveBytes: settings['recording.reserve'],
      floorMs: settings['recording.floor'],
      originalsMs: settings['recording.originals'],
      keepMs: settings['recording.keep'],
      maximumMs: {},
    },
  };
}

function mediaData(settings: Settings, ring: MessageChannel['port1']): MediaData {
  return {
    ring,
    logLevel: settings['log.level'],
    cadence: settings['motion.enabled'] ? settings['motion.cadence'] : undefined,
    engine: settings['cameras.engine'],
    queueBytes: QUEUE_BYTES,
  };
}

async function ingestCameras(cameras: Cameras, adopted: Camera[]): Promise<IngestCamera[]> {
  return Promise.all(
    adopted.map(async (camera) => ({
      id: camera.id,
      ...(await cameras.credentialsOf(camera.id)),
      streams: [
        { role: 'main' as const, uri: camera.main.uri },
        ...(camera.sub === null ? [] : [{ role: 'sub' as const, uri: camera.sub.uri }]),
      ],
    })),
  );
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

function ownNames(settings: Settings): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  return [hostname(), `${hostname()}.local`, ...addresses, ...settings['web.hosts']];
}
