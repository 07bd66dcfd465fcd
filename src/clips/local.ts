import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { SignedManifest } from '../contract/clip.js';

const READ_BYTES = 1024 * 1024;

/**
 * Writes a clip into a directory: the file, its signed manifest `….manifest.json` and a line of `SHA256SUMS` that
 * `sha256sum -c` reads. The names appear only when their contents are on disk.
 * For the process of a person (the command line): the agent's main thread touches no disk.
 */
export async function writeClipToFile(
  clip: { name: string; bytes: number; sha256: string; manifest: SignedManifest; read: ReadClip },
  dir: string,
): Promise<{ file: string; manifest: string }> {
  await mkdir(dir, { recursive: true });
  const file = join(dir, clip.name);
  const handle = await open(`${file}.part`, 'w');
  try {
    for (let at = 0; at < clip.bytes; at += READ_BYTES) {
      await handle.write(await clip.read(at, Math.min(READ_BYTES, clip.bytes - at)));
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  const manifest = file.replace(/\.mp4$/, '.manifest.json');
  await writeSynced(manifest, `${JSON.stringify(clip.manifest, null, 2)}\n`, 'w');
  await writeSynced(join(dir, 'SHA256SUMS'), `${clip.sha256}  ${clip.name}\n`, 'a');
  await rename(`${file}.part`, file);
  return { file, manifest };
}

type ReadClip = (offset: number, length: number) => Promise<Uint8Array>;

async function writeSynced(path: string, text: string, flags: 'w' | 'a'): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
