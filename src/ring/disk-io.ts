import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  rmdirSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { fsyncDir } from '../base/files.js';
import { errorCode } from '../base/errors.js';

/** Every call of the ring that changes or reads media and journal, so that a test can let the Nth one fail. */
export interface DiskIo {
  /** A new file; EEXIST when there is one. */
  create(path: string): number;
  openAppend(path: string): number;
  openWrite(path: string): number;
  openRead(path: string): number;
  /** All bytes or an error. */
  write(fd: number, bytes: Uint8Array): void;
  /** Up to `length` bytes; fewer at the end of the file. The result owns its buffer, or lies at the start of `into`. */
  read(fd: number, position: number, length: number, into?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
  size(fd: number): number;
  truncate(fd: number, bytes: number): void;
  datasync(fd: number): void;
  sync(fd: number): void;
  close(fd: number): void;
  unlink(path: string): void;
  makeDir(path: string): void;
  /** ENOTEMPTY when something is in it. */
  removeDir(path: string): void;
  syncDir(path: string): void;
  freeBytes(path: string): number;
}

export const realDiskIo: DiskIo = {
  create: (path) => openSync(path, 'wx', 0o600),
  openAppend: (path) => openSync(path, 'a', 0o600),
  openWrite: (path) => openSync(path, 'r+'),
  openRead: (path) => openSync(path, 'r'),
  write(fd, bytes) {
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
  },
  read(fd, position, length, into) {
    const buffer = into?.subarray(0, length) ?? new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const got = readSync(fd, buffer, done, length - done, position + done);
      if (got === 0) return into === undefined ? buffer.slice(0, done) : buffer.subarray(0, done);
      done += got;
    }
    return buffer;
  },
  size: (fd) => fstatSync(fd).size,
  truncate: (fd, bytes) => ftruncateSync(fd, bytes),
  datasync: (fd) => fdatasyncSync(fd),
  sync: (fd) => fsyncSync(fd),
  close: (fd) => closeSync(fd),
  unlink: (path) => unlinkSync(path),
  makeDir: (path) => mkdirSync(path, { mode: 0o700 }),
  removeDir: (path) => rmdirSync(path),
  syncDir: fsyncDir,
  freeBytes(path) {
    const fs = statfsSync(path);
    return fs.bavail * fs.bsize;
  },
};

/** The file's bytes, or undefined when it does not exist. */
export function readIfThere(io: DiskIo, path: string): Uint8Array | undefined {
  let fd: number;
  try {
    fd = io.openRead(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return io.read(fd, 0, io.size(fd));
  } finally {
    io.close(fd);
  }
}

/** Deletes a file if it exists. */
export function unlinkIfThere(io: DiskIo, path: string): boolean {
  try {
    io.unlink(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Makes a directory and its missing parents below `root`, each durable in its parent. */
export function ensureDir(io: DiskIo, root: string, path: string): void {
  if (path.length <= root.length || isDir(path)) return;
  ensureDir(io, root, dirname(path));
  try {
    io.makeDir(path);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  io.syncDir(dirname(path));
}

function isDir(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** What a file occupies: whole blocks of 4096 bytes. */
export function allocated(bytes: number): number {
  return Math.ceil(bytes / 4096) * 4096;
}
