import { readFile } from 'node:fs/promises';
import { networkInterfaces, hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock, type Clock } from './base/clock.js';
import { Closing } from './base/closing.js';
import { errorCode, errorMessage } from './base/errors.js';
import { createLog, Redactor, type Log } from './base/log.js';
import { measureLoopDelay } from './base/loop-delay.js';
import type { Processes } from './base/processes.js';
import { createCameras, type Cameras } from './cameras/cameras.js';
import { Stills } from './clips/stills.js';
import type { Camera } from './contract/camera.js';
import { streamId } from './contract/primitives.js';
import { Host } from './health/host.js';
import { boxKey } from './identity/box-key.js';
import { pageCertificate } from './identity/certificate.js';
import { Claims } from './identity/claims.js';
import { Logins } from './identity/logins.js';
import { Owner } from './identity/owner.js';
import type { IngestCamera } from './ingest/ports.js';
import { MotionFlow } from './motion-flow.js';
import { Outside } from './outside.js';
import { Gate } from './policy/gate.js';
import { ownerDesk } from './owner-desk.js';
import { PageEvents } from './page-events.js';
import { readBox } from './reading.js';
import { EXPECTED_DISK, startRecording } from './recording.js';
import { Footage } from './ring/footage.js';
import type { Settings } from './settings/table.js';
import { openStore } from './store/client.js';
import { assembleStatus, type BoxReading } from './health/status.js';
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
  /** Names of what still hangs, and goes with the process only. */
  stop(): Promise<string[]>;
}

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

/** A camera's clock drifts by seconds in a day; a wrong time zone stands out at once. */
const CLOCKS_MS = 60_000;

interface Base {
  settings: Settings;
  clock: Clock;
  processes: Processes;
  log: Log;
  redactor: Redactor;
  closing: Closing;
}

/** Composition root: builds every room and wires them, in the order in which data flows. */
async function compose({ settings, clock, processes, log, redactor, closing }: Base): Promise<Agent> {
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => (fail = resolve));

  // --- what survives a restart
  const stateDir = settings['state_dir'];
  const store = await openStore({ path: join(stateDir, 'state.db'), clock, onDeath: fail });
  closing.add('the store', () => store.close());
  const signer = await boxKey(store, clock);
  const claims = new Claims(store, clock);
  const logins = new Logins(store, clock);
  const host = new Host(clock, log);
  await host.start();
  closing.add('the host readings', () => host.stop());
  const events = new PageEvents();
  let cameraClocks: ReadonlyMap<string, number> = new Map();

  // --- footage: cameras to media thread to ring thread
  const recording = await startRecording({
    clock,
    settings,
    store,
    closing,
    onMotion: (event) => kept(motion.take(event), log),
    onRefused: (camera) => kept(cameras.loginRefused(camera), log),
    onDisk: (disk) => kept(store.kv.put({ key: EXPECTED_DISK, value: disk }), log),
    onDeath: fail,
  });
  const footage = new Footage(recording.ring, clock);
  const { live } = recording;
  const stills = new Stills({
    clock,
    processes,
    footage,
    live: { subscribe: (grant, role, listener) => live.subscribe(streamId(grant.camera, role), listener) },
  });

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
      for (const camera of refused) kept(recording.media.refuse(camera), log);
    },
  });
  let adopted: Camera[] = [];
  const record = async (): Promise<void> => {
    adopted = await cameras.list();
    recording.keep(new Set(adopted.map((camera) => camera.id)));
    await recording.media.setCameras(await ingestCameras(cameras, adopted));
    // The center hears of it with its next connection at the latest: no broker may hold up the recording.
    kept(outside.refresh(), log);
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
  closing.add('the gate', () => gate.close());
  const startedMono = clock.monotonic();
  const reading = (): BoxReading =>
    readBox({
      clock,
      startedMono,
      settings,
      keyId: signer.keyId,
      host,
      gate,
      ring: recording.ringStatus(),
      streams: recording.streams(),
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
    protect: (protections) => recording.ring.protect(protections),
    onClip: (clip) => events.tell({ type: 'clip', data: clip }),
  });
  const motion = new MotionFlow({
    clock,
    settings,
    store,
    markMotion: (ask) => recording.ring.markMotion(ask),
    send: (event) => outside.motion(event),
    onEvent: (event) => events.tell({ type: 'motion', data: event }),
  });
  closing.add('the way out', () => outside.stop('shutdown'));
  await outside.start();
  closing.add('motion', () => motion.stop());
  await motion.start();
  const stopTrust = clock.every(1_000, async () => {
    const { source } = reading().clock;
    await recording.ring.clockTrust(source === 'center' ? 'ntp' : source);
  });
  const stopStatus = clock.every(2_000, () => events.tell({ type: 'status', data: assembleStatus(reading()) }));
  const stopClocks = clock.every(CLOCKS_MS, async () => {
    cameraClocks = await cameras.clocks();
  });
  closing.add('periodic tasks', () => (stopTrust(), stopStatus(), stopClocks()));
  // Before what they lead to: their last fragments reach the disk, their last motion events the outbox.
  closing.add('the cameras', () => recording.media.stop(undefined));

  // --- people
  const owner = ownerDesk({
    clock,
    store,
    gate,
    signer,
    outside,
    owner: new Owner(store, logins, clock),
    cameraNames: () => store.cameras.names(),
  });
  closing.add('the owner', () => owner.asks.close());
  const certificate = await pageCertificate({ tables: store, clock, log }, ownNames(settings));
  const web = createWeb({
    clock,
    log,
    ports: webPorts({
      settings,
      store,
      gate,
      cameras,
      footage,
      live,
      stills,
      logins,
      outside,
      events,
      owner,
      reading,
      threads: async (ms) => {
        const [own, other] = await Promise.all([measureLoopDelay(clock, ms), recording.media.loopDelay(ms)]);
        return {
          threads: [
            { thread: 'main', ...own },
            { thread: 'media', ...other },
          ],
        };
      },
      log,
    }),
    tls: certificate,
    listen: { host: settings['web.host'], port: settings['web.port'] },
    hosts: settings['web.hosts'],
    pages: fileURLToPath(new URL('./web/pages', import.meta.url)),
  });
  closing.add('the page', () => web.close());
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
      const hung = await closing.run();
      log.info({ hung }, 'the agent has stopped');
      return hung;
    },
  };
}

/** A task in the background whose failure is told and does not stop the agent. */
function kept(work: Promise<unknown>, log: Log): void {
  work.catch((error: unknown) => log.error({ code: errorCode(error) }, errorMessage(error)));
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
