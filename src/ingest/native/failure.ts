import { BluelightError, errorCode, errorMessage } from '../../base/errors.js';
import type { EndCause, EngineEnd } from '../ports.js';

/** Why a session cannot go on, as it is thrown inside the engine. */
export function failure(cause: EndCause, detail: string): BluelightError {
  return new BluelightError(`INGEST_${cause.toUpperCase()}`, detail, { retryable: cause === 'offline' });
}

const CAUSES: readonly EndCause[] = [
  'stopped',
  'refused',
  'offline',
  'stalled',
  'invalid',
  'unsupported',
  'unfit',
  'broken',
];

/** Codes of the floor `media`.. */
const PARSER_CAUSES: Readonly<Record<string, EndCause>> = {
  RTSP_INVALID: 'invalid',
  SDP_INVALID: 'invalid',
  STREAM_UNSUPPORTED: 'unsupported',
  STREAM_CODEC: 'unfit',
  CAMERA_CREDENTIALS: 'invalid',
  MEDIA_FORMAT: 'invalid',
};

const SOCKET_DETAILS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the camera refuses the connection',
  ECONNRESET: 'the camera closed the connection',
  EPIPE: 'the camera closed the connection',
  ETIMEDOUT: 'the camera does not answer',
  EHOSTUNREACH: 'the camera does not answer',
  ENETUNREACH: 'there is no way to the network of the camera',
  ENOTFOUND: "the camera's name is unknown",
  EAI_AGAIN: "the camera's name is unknown",
};

/** What an error means for the session. */
export function endOf(error: unknown): EngineEnd {
  const code = errorCode(error) ?? '';
  const cause = CAUSES.find((one) => code === `INGEST_${one.toUpperCase()}`) ?? PARSER_CAUSES[code];
  // What only a person can mend is told with how.
  const fix = cause === 'unfit' && error instanceof BluelightError ? `; ${error.fix ?? ''}` : '';
  if (cause !== undefined) return { cause, detail: `${errorMessage(error)}${fix}` };
  const socket = SOCKET_DETAILS[code];
  if (socket !== undefined) return { cause: 'offline', detail: socket };
  return { cause: 'broken', detail: errorMessage(error) };
}

/** What an answer that is no success means (RFC 2326 §11). */
export function failureOfStatus(status: number): BluelightError {
  if (status === 401 || status === 403) return failure('refused', 'the camera refuses the user name or password');
  if (status === 404 || status === 400 || status === 410) {
    return failure('invalid', 'the camera does not know this stream address');
  }
  if (status === 461) return failure('unsupported', 'the camera does not send video over TCP');
  if (status === 453 || status === 503) return failure('offline', 'the camera has no room for another connection');
  if (status === 454) return failure('offline', 'the camera ended the session');
  return failure(status >= 500 ? 'offline' : 'invalid', `the camera answers with an error (RTSP ${status})`);
}
