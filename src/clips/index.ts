import type { Clips, ClipsOptions } from './api.js';
import { Engine } from './engine.js';

export type { ClipRequest, Clips, ClipsOptions, OpenedClip } from './api.js';
export type { AnchorPort, FootagePort, GatePort, Lease, StillPort, UplinkPort } from './ports.js';
export { ClipFile } from './file.js';

export function createClips(options: ClipsOptions): Clips {
  return new Engine(options);
}
