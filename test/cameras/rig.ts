import { silentLog, Redactor } from '../../src/base/log.js';
import type { Camera, Credentials, EventSource } from '../../src/contract/camera.js';
import { createCameras, type Cameras, type CamerasDeps } from '../../src/cameras/cameras.js';
import { clock } from '../sim-camera/rig.js';

export interface Box {
  cameras: Cameras;
  stored: Map<string, Camera>;
  sealed: Map<string, Credentials>;
  changes: Camera[][];
  refused: string[][];
  /** Who told of motion, as it changed. */
  sources: EventSource[];
  /** The same tables for another box. */
  tables: Pick<CamerasDeps, 'cameras' | 'credentials' | 'held'>;
}

/** The room with its tables in memory; everything else is real. */
export function box(overrides: Partial<CamerasDeps> = {}): Box {
  const stored = new Map<string, Camera>();
  const sealed = new Map<string, Credentials>();
  const held: { devices: string[] } = { devices: [] };
  const removed = new Map<string, string>();
  const changes: Camera[][] = [];
  const refused: string[][] = [];
  const sources: EventSource[] = [];
  const deps: CamerasDeps = {
    clock,
    log: silentLog,
    redactor: new Redactor(),
    interfaces: ['lo'],
    allowLoopback: true,
    cameras: {
      list: () => Promise.resolve([...stored.values()]),
      save: (camera) => Promise.resolve(void stored.set(camera.id, camera)),
      remove: ({ id }) => {
        removed.set(id, stored.get(id)?.name ?? '');
        stored.delete(id);
        return Promise.resolve();
      },
      names: () =>
        Promise.resolve(Object.fromEntries([...removed, ...[...stored].map(([id, c]) => [id, c.name] as const)])),
    },
    credentials: {
      get: (name) => Promise.resolve(sealed.get(name) ?? null),
      put: ({ name, username, password }) => Promise.resolve(void sealed.set(name, { username, password })),
      remove: (name) => Promise.resolve(void sealed.delete(name)),
    },
    held: {
      load: () => Promise.resolve(held.devices),
      save: (devices) => Promise.resolve(void (held.devices = devices)),
    },
    onChanged: (list) => changes.push(list),
    onRefused: (ids) => refused.push(ids),
    onSource: (_device, source) => sources.push(source),
    ...overrides,
  };
  const cameras = createCameras(deps);
  const tables = { cameras: deps.cameras, credentials: deps.credentials, held: deps.held };
  return { cameras, stored, sealed, changes, refused, sources, tables };
}
