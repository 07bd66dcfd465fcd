import type { Clip } from '../contract/clip.js';
import type { Services, Target } from './route.js';

/** One target per camera, from the first to the last of its clips. */
export function clipTargets(clips: readonly Clip[]): Target[] {
  const byCamera = new Map<string, Target>();
  for (const clip of clips) {
    const fromMs = Date.parse(clip.from);
    const toMs = Date.parse(clip.to);
    const known = byCamera.get(clip.camera)?.range;
    byCamera.set(clip.camera, {
      camera: clip.camera,
      range: { fromMs: Math.min(fromMs, known?.fromMs ?? fromMs), toMs: Math.max(toMs, known?.toMs ?? toMs) },
    });
  }
  return [...byCamera.values()];
}

/** From now on, for what streams: the grant says how long. */
export async function everyCamera({ clock, ports }: Services): Promise<Target[]> {
  const cameras = await ports.cameras.list();
  return cameras.map((camera) => ({ camera: camera.id, range: fromNow(clock.now()) }));
}

/** Open-ended ranges are written as their first millisecond; the grant's expiry is their end. */
export function fromNow(nowMs: number): Target['range'] {
  return { fromMs: nowMs, toMs: nowMs + 1 };
}
