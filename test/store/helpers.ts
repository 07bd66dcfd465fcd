import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ulid } from '../../src/base/ids.js';
import type { Camera } from '../../src/contract/camera.js';
import type { AuditNote } from '../../src/store/audit.js';
import { StateDb } from '../../src/store/state-db.js';

export function temporaryDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-store-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function openState(options: { dir?: string; outboxBytes?: number } = {}): StateDb {
  const db = new StateDb({
    path: join(options.dir ?? temporaryDir(), 'state.db'),
    outboxBytes: options.outboxBytes,
  });
  onTestFinished(() => db.close());
  return db;
}

export function someCamera(id = 'gate', serial = 'S1'): Camera {
  return {
    id,
    name: `Camera ${id}`,
    device: {
      id: `dev-${id}`,
      endpointReference: `urn:uuid:${id}`,
      address: '10.0.0.7',
      xaddr: 'http://10.0.0.7/onvif/device_service',
      make: 'Acme',
      model: 'A1',
      firmware: '1.0',
      serial,
      mac: '02:00:00:00:00:01',
    },
    channel: 'vs0',
    main: { uri: 'rtsp://10.0.0.7/main', codec: 'h264', width: 1920, height: 1080, profile: 'p0' },
    sub: null,
    addedAt: 1_000,
  };
}

export function note(more: Partial<AuditNote> = {}): AuditNote {
  return {
    id: ulid(Date.now()),
    atMs: Date.UTC(2026, 5, 1),
    kind: 'access',
    outcome: 'granted',
    party: 'J. Doe',
    door: 'mqtt',
    action: 'clip',
    reason: 'robbery',
    ...more,
  };
}
