/**
 * The one error class of the product. `code` is stable and part of the contract (handled by machines);
 * `message` tells a technician what happened, `fix` what to do next.
 */
export class BluelightError extends Error {
  readonly code: string;
  readonly fix: string | undefined;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { fix?: string; retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BluelightError';
    this.code = code;
    this.fix = options.fix;
    this.retryable = options.retryable ?? false;
  }
}

/** The code of a Node system error (`ENOENT`, `ECONNREFUSED`), or of ours; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || errorCode(error) === 'ABORT_ERR');
}

/** The plain form in which an error crosses a thread, a socket or the log. */
export interface ErrorData {
  code: string;
  message: string;
  fix?: string;
  retryable: boolean;
}

export function toErrorData(error: unknown): ErrorData {
  if (error instanceof BluelightError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      retryable: error.retryable,
    };
  }
  return { code: errorCode(error) ?? 'INTERNAL', message: errorMessage(error), retryable: false };
}

export function fromErrorData(data: ErrorData): BluelightError {
  return new BluelightError(data.code, data.message, { fix: data.fix, retryable: data.retryable });
}
