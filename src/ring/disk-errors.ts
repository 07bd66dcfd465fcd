import { BluelightError, errorCode, errorMessage } from '../base/errors.js';
import type { DiskState } from './types.js';

/** What an error of the recording disk means for recording. */
export type DiskTrouble = 'full' | 'failed' | 'index';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'DISK_FULL']);
const FAILED = new Set([
  'EIO',
  'EROFS',
  'ENXIO',
  'ENODEV',
  'ESTALE',
  'EBADF',
  'ENOENT',
  'EACCES',
  'EPERM',
  'ENOTCONN',
  'EUCLEAN',
  'EFBIG',
  'ENOTDIR',
  'SQLITE_CANTOPEN',
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  'SQLITE_PERM',
  'DISK_FAILED',
  'DISK_MISSING',
  'DISK_WRONG',
  'DISK_FOREIGN',
]);
const INDEX = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_SCHEMA', 'INDEX_CORRUPT']);

/** undefined: not an error of the disk, but one of ours. */
export function diskTrouble(error: unknown): DiskTrouble | undefined {
  const code = errorCode(error) ?? '';
  if (FULL.has(code)) return 'full';
  if (FAILED.has(code) || code.startsWith('SQLITE_IOERR') || code.startsWith('SQLITE_READONLY')) return 'failed';
  if (code.startsWith('SQLITE_CANTOPEN')) return 'failed';
  if (INDEX.has(code) || code.startsWith('SQLITE_CORRUPT')) return 'index';
  // A row that cannot be: SQLite read bytes that nobody wrote.
  if (code.startsWith('SQLITE_')) return 'index';
  return undefined;
}

/** The typed form of what the disk said. */
export function diskError(error: unknown): BluelightError {
  if (error instanceof BluelightError) return error;
  const trouble = diskTrouble(error);
  if (trouble === 'full') {
    return new BluelightError('DISK_FULL', 'the recording disk is full', {
      fix: 'delete what does not belong to the ring, or lower the quota',
      retryable: true,
      cause: error,
    });
  }
  if (trouble === 'index') {
    return new BluelightError('INDEX_CORRUPT', `the index of the ring is damaged: ${errorMessage(error)}`, {
      fix: 'nothing: it is rebuilt from the recordings',
      retryable: true,
      cause: error,
    });
  }
  return new BluelightError('DISK_FAILED', `the recording disk fails: ${errorMessage(error)}`, {
    fix: 'check cable, mount and health of the disk',
    retryable: true,
    cause: error,
  });
}

const STATES: Record<string, DiskState> = {
  DISK_FULL: 'full',
  DISK_MISSING: 'missing',
  DISK_WRONG: 'wrong',
  DISK_FOREIGN: 'wrong',
};

export function diskStateOf(error: BluelightError): DiskState {
  return STATES[error.code] ?? 'failed';
}
