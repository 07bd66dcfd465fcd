import { BluelightError, isAbort } from '../base/errors.js';
import type { Problem } from '../contract/http.js';

/** HTTP status of our stable codes. What is not listed: 503 when trying again helps, else 422. */
const STATUS: Record<string, number> = {
  BAD_REQUEST: 400,
  BAD_UNIT: 400,
  UNAUTHENTICATED: 401,
  BAD_LOGIN: 401,
  FORBIDDEN: 403,
  BAD_ORIGIN: 403,
  BAD_CSRF: 403,
  POLICY_DENIED: 403,
  OUTSIDE_HOURS: 403,
  PAUSED_BY_OWNER: 403,
  OWNER_APPROVAL_REQUIRED: 403,
  NOT_ENROLLED: 403,
  BAD_SIGNATURE: 403,
  UNKNOWN_OPERATOR: 403,
  TOLD_LATER: 403,
  NOT_FOUND: 404,
  NO_COVERAGE: 404,
  UNKNOWN_CAMERA: 404,
  METHOD_NOT_ALLOWED: 405,
  DUPLICATE: 409,
  SEVERAL_FILES: 409,
  HOLD_LIMIT: 409,
  EXPIRED: 410,
  CLAIM_EXPIRED: 410,
  CLAIM_USED: 409,
  CLAIMED: 409,
  CLAIM_WRONG: 403,
  CENTER_FOREIGN: 403,
  TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RANGE_NOT_SATISFIABLE: 416,
  BAD_HOST: 421,
  UPGRADE_REQUIRED: 426,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  UNSUPPORTED: 501,
  CAMERA_OFFLINE: 503,
  TOO_MANY_VIEWERS: 503,
  DISK_FULL: 507,
};

const TITLE: Record<number, string> = {
  400: 'The request is not understood',
  401: 'Please log in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Not possible here',
  409: 'In conflict with what is there',
  410: 'No longer valid',
  413: 'Too large',
  415: 'Wrong kind of content',
  416: 'The file has no such part',
  421: 'Wrong address',
  422: 'It did not work',
  426: 'A WebSocket is needed',
  429: 'Too many tries',
  500: 'An error inside the agent',
  501: 'Not supported',
  503: 'Not possible right now',
  507: 'The disk is full',
};

/**
 * Any error as problem+json. Errors that are not ours say nothing of the inside (paths, addresses):
 * their text belongs in the log.
 */
export function toProblem(error: unknown): Problem {
  if (!(error instanceof BluelightError)) {
    return {
      type: 'about:blank',
      title: TITLE[500]!,
      status: 500,
      code: isAbort(error) ? 'ABORTED' : 'INTERNAL',
      detail: 'Something went wrong inside the agent.',
      fix: 'Try again. If it stays so, look at the log of the agent.',
      retryable: true,
    };
  }
  const status = STATUS[error.code] ?? (error.retryable ? 503 : 422);
  return {
    type: 'about:blank',
    title: TITLE[status] ?? 'It did not work',
    status,
    code: error.code,
    detail: error.message,
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    retryable: error.retryable,
  };
}

export function problemResponse(error: unknown, headers: Record<string, string> = {}): Response {
  const body = toProblem(error);
  return new Response(JSON.stringify(body), {
    status: body.status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
  });
}
