import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { realDiskIo, type DiskIo } from '../../../../src/ring/disk-io.js';

/** A disk of a size, with others on it. Says what is written into which file. */
export class SimDisk {
  readonly #bytes: number;
  readonly #sizes = new Map<string, number>();
  readonly #open = new Map<number, string>();
  foreignBytes = 0;
  /** What was written into media files since it was last asked. */
  written = new Map<Uint8Array, string>();

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  ownBytes = 0;

  freeBytes(): number {
    return this.#bytes - this.foreignBytes - this.ownBytes;
  }

  readonly io: DiskIo = {
    ...realDiskIo,
    create: (path) => this.#opened(realDiskIo.create(path), path),
    openAppend: (path) => this.#opened(realDiskIo.openAppend(path), path),
    write: (fd, bytes) => {
      realDiskIo.write(fd, bytes);
      const path = this.#open.get(fd);
      if (path === undefined) return;
      this.#sizes.set(path, (this.#sizes.get(path) ?? 0) + bytes.length);
      this.ownBytes += bytes.length;
      if (path.endsWith('.mp4')) this.written.set(bytes, path);
    },
    close: (fd) => {
      this.#open.delete(fd);
      realDiskIo.close(fd);
    },
    unlink: (path) => {
      realDiskIo.unlink(path);
      this.ownBytes -= this.#sizes.get(path) ?? 0;
      this.#sizes.delete(path);
    },
  };

  #opened(fd: number, path: string): number {
    this.#open.set(fd, path);
    return fd;
  }
}

/** The media files that a stream has on the disk. */
export function filesOf(directory: string, stream: string): Set<string> {
  const media = join(directory, 'media', stream);
  const buckets = readIfThere(media);
  return new Set(
    buckets.flatMap((bucket) => readIfThere(join(media, bucket)).map((name) => join(media, bucket, name))),
  );
}

function readIfThere(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return [];
    throw error;
  }
}
