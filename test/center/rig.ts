import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { systemClock } from '../../src/base/clock.js';
import { silentLog } from '../../src/base/log.js';
import type { Duplex } from 'node:stream';
import {
  createCenter,
  dialDirect,
  type Center,
  type CenterOptions,
  type Dial,
  type DialTarget,
} from '../../src/center/index.js';
import type { ClaimFile, Heartbeat } from '../../src/contract/messages.js';
import { signerFromKey, type Signer } from '../../src/proof/keys.js';
import { StateDb } from '../../src/store/state-db.js';
import { flatten, tableCalls, type TableCalls } from '../../src/store/calls.js';

export const clock = systemClock();

export function tempDir(): string {
  return mkdtempSync(join(tmpdir(), 'bluelight-'));
}

export function newSigner(): Signer {
  return signerFromKey(generateKeyPairSync('ed25519').privateKey);
}

/** The real tables of state.db, called directly instead of over a thread. */
export function store(dir = tempDir()): { calls: TableCalls; close: () => void } {
  const db = new StateDb({ path: join(dir, 'state.db') });
  const api = flatten(db.tables);
  return {
    calls: tableCalls((name, argument) => Promise.resolve().then(() => api[name]!(argument))),
    close: () => db.close(),
  };
}

export function heartbeat(beat: { seq: number; nonce: string; outbox: number }): Heartbeat {
  return {
    schema: 1,
    seq: beat.seq,
    nonce: beat.nonce,
    ts: new Date().toISOString(),
    uptime: 1,
    cpu: 3,
    mem: 20,
    temp: null,
    disk: { used: 1, bytes: 1, quota: 2, days: null, state: 'ok' },
    clock: { src: 'ntp', offset: 0 },
    queue: { clips: 0, bytes: 0, outbox: beat.outbox },
    policy: '',
    cams: [{ id: 'north', state: 'recording', fps: 15, age: 0.4, gap: 0, oldest: null, days: null, clock: null }],
  };
}

export function box(claim: ClaimFile, calls: TableCalls, signer: Signer, more: Partial<CenterOptions> = {}): Center {
  return createCenter({
    clock,
    log: silentLog,
    claim,
    outbox: calls.outbox,
    heartbeat,
    info: () => ({
      hw: 'test',
      os: 'test',
      agent: '0.1.0',
      capabilities: [],
      keyId: signer.keyId,
      cameras: [
        { id: 'north', name: 'North', make: '', model: '', fw: '', mac: '', serial: '', channel: '0', streams: [] },
      ],
    }),
    heartbeatMs: () => 300,
    willDelayS: 1,
    random: () => 0,
    ...more,
  });
}

/** Sockets that the test can cut, and a network that it can take away. */
export function network(): { dial: Dial; cut: () => void; down: boolean } {
  const sockets = new Set<Duplex>();
  const net = {
    down: false,
    cut(): void {
      for (const socket of sockets) socket.destroy();
    },
    dial(target: DialTarget): Duplex {
      const socket = dialDirect(net.down ? { ...target, port: 1 } : target);
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      return socket;
    },
  };
  return net;
}

export function motion(n: number, camera = 'north'): { type: 'bluelight.motion.start'; stream: string; data: unknown } {
  const at = new Date(1_700_000_000_000 + n * 1000).toISOString();
  return {
    type: 'bluelight.motion.start',
    stream: camera,
    data: {
      id: `01HQ000000000000000${String(n).padStart(7, '0')}`,
      camera,
      phase: 'start',
      start: at,
      decidedAt: at,
      end: null,
      score: 1,
      reason: 'zone',
    },
  };
}
