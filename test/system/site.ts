import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Site, type SiteOptions } from '../../scripts/lib/site.js';
import { accessUnitsOf, parseFile } from '../../src/media/mp4.js';
import { readFrameStamp, type FrameStamp } from '../../src/media/sei.js';
import { kept } from '../support/kept.js';

/** Encoded once for all tests of a machine. */
const CACHE = kept('bluelight-test-footage');

export interface TestSite extends AsyncDisposable {
  site: Site;
  ring: string;
}

/** A site in a directory of its own, with everything claimed, adopted and granted, recording. */
export async function openSite(
  options: Omit<SiteOptions, 'dir' | 'cacheDir'> & { editClaim?: (path: string) => void },
): Promise<TestSite> {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-site-'));
  const cameraArgs = ['--one-scene', '--loop', '20', '--activity', '0.5', ...(options.cameraArgs ?? [])];
  const site = new Site({ ...options, dir, cacheDir: CACHE, cameraArgs });
  try {
    const [, { cameras }] = await Promise.all([site.startCenter(), site.startCameras()]);
    site.writeConfig();
    await site.startAgent();
    options.editClaim?.(join(dir, 'claim.json'));
    await site.claim();
    const ids: string[] = [];
    for (const [i, camera] of cameras.entries()) {
      ids.push(...(await site.adopt(camera.xaddr, `camera ${i + 1}`)).map(({ id }) => id));
    }
    site.grant(ids);
    if ((await site.recording(2 * options.cameras, 60_000)) === undefined) {
      throw new Error(
        `not every stream records:\n${JSON.stringify((await site.status()).streams)}\n${site.agent.log()}`,
      );
    }
  } catch (error) {
    await site.close();
    throw error;
  }
  return {
    site,
    ring: join(dir, 'ring'),
    async [Symbol.asyncDispose]() {
      await site.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Segment files of a stream in order of recording. */
export function segmentFiles(ring: string, stream: string): string[] {
  const root = join(ring, 'media', stream);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.mp4'))
    .sort((a, b) => seqOf(a) - seqOf(b))
    .map((name) => join(root, name));
}

function seqOf(name: string): number {
  return Number(/(\d+)\.mp4$/.exec(name)?.[1]);
}

export function streamsOf(ring: string): string[] {
  return readdirSync(join(ring, 'media')).sort();
}

/** Stamps of every whole picture in a file that may be cut anywhere. */
export function stampsOf(file: string | Uint8Array): FrameStamp[] {
  const data = typeof file === 'string' ? readFileSync(file) : file;
  const { fragments } = parseFile(data);
  return fragments.flatMap(({ offset, bytes }) =>
    accessUnitsOf(data.subarray(offset, offset + bytes)).map((unit) => {
      const stamp = readFrameStamp('h264', unit.data);
      if (stamp === undefined) throw new Error(`a picture without a stamp`);
      return stamp;
    }),
  );
}
