import type { UploadOutcome } from './ports.js';

type Failed = Extract<UploadOutcome, { state: 'failed' }>;

/** What an HTTP answer means for an upload (tus 1.0 names the states), as data. */
const MEANING: Record<number, Pick<Failed, 'code' | 'retryable' | 'restart'>> = {
  401: { code: 'UPLOAD_REFUSED', retryable: false, restart: false },
  403: { code: 'UPLOAD_REFUSED', retryable: false, restart: false },
  404: { code: 'UPLOAD_GONE', retryable: true, restart: true },
  409: { code: 'OFFSET_CONFLICT', retryable: true, restart: false },
  410: { code: 'UPLOAD_GONE', retryable: true, restart: true },
  412: { code: 'UPLOAD_VERSION', retryable: false, restart: false },
  413: { code: 'UPLOAD_TOO_BIG', retryable: false, restart: false },
  423: { code: 'UPLOAD_LOCKED', retryable: true, restart: false },
  460: { code: 'HASH_MISMATCH', retryable: true, restart: true },
};

/**
 * What an answer that is not a success means.
 * @param retryAfter the header: seconds, or a date (RFC 9110 §10.2.3)
 */
export function judgeAnswer(status: number, body: string, retryAfter: string | undefined, nowMs: number): Failed {
  const known = MEANING[status];
  const says = body.replace(/\s+/g, ' ').trim().slice(0, 200);
  const message = `the center answered ${status}${says === '' ? '' : `: ${says}`}`;
  if (known !== undefined) return { state: 'failed', message, retryAfterMs: null, ...known };
  if (status >= 200 && status < 400) {
    // A page where a protocol was expected: a captive portal, or a redirect that we do not follow.
    return failed('NOT_THE_CENTER', `something else than the center answered (${status})`);
  }
  const busy = status === 429 || status >= 500;
  return {
    state: 'failed',
    code: busy ? 'CENTER_BUSY' : 'UPLOAD_REFUSED',
    message,
    retryable: busy,
    restart: false,
    retryAfterMs: busy ? waitMs(retryAfter, nowMs) : null,
  };
}

export function failed(code: string, message: string, more: Partial<Failed> = {}): Failed {
  return { state: 'failed', code, message, retryable: true, restart: false, retryAfterMs: null, ...more };
}

function waitMs(retryAfter: string | undefined, nowMs: number): number | null {
  if (retryAfter === undefined) return null;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - nowMs;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 3_600_000) : null;
}
