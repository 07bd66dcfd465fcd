import { BluelightError } from '../base/errors.js';
import type { Envelope } from '../contract/evidence.js';
import { openEnvelope } from './dsse.js';
import type { Finding, FindingCode } from './findings.js';

/** A signature that fits but whose key nobody vouches for still tells whether the file is what was signed. */
export function openWithAnyKey(
  envelope: Envelope,
  payloadType: string,
  trusted: readonly string[],
  findings: Finding[],
): { payload: Uint8Array; keyId: string } {
  try {
    return openEnvelope(envelope, { payloadType, trusted });
  } catch (error) {
    if (!(error instanceof BluelightError) || error.code !== 'UNTRUSTED_KEY') throw error;
    const opened = openEnvelope(envelope, { payloadType, trusted: envelope.signatures.map((s) => s.keyid) });
    findings.push({
      code: 'UNTRUSTED_KEY',
      level: 'unknown',
      message: `signed by key ${opened.keyId}, of which it is not known that it belongs to the box`,
    });
    return opened;
  }
}

const ENVELOPE_CODES = new Set<string>(['WRONG_TYPE', 'BAD_BASE64', 'BAD_SIGNATURE', 'UNTRUSTED_KEY']);

/** What it means that a signed document could not be opened. */
export function openFailure(error: unknown): Finding {
  if (error instanceof BluelightError) {
    const code = ENVELOPE_CODES.has(error.code) ? (error.code as FindingCode) : 'BAD_MANIFEST';
    return { code, level: 'tampered', message: error.message };
  }
  return { code: 'BAD_MANIFEST', level: 'tampered', message: `not of the right form: ${firstIssue(error)}` };
}

function firstIssue(error: unknown): string {
  const issues = (error as { issues?: { path: (string | number)[]; message: string }[] }).issues;
  const issue = issues?.[0];
  return issue === undefined ? String(error) : `${issue.path.join('.')}: ${issue.message}`;
}

/** @throws BluelightError BAD_MANIFEST when it is not UTF-8 */
export function text(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new BluelightError('BAD_MANIFEST', 'the document is not UTF-8', { cause: error });
  }
}
