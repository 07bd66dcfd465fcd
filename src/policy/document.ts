import { createHash } from 'node:crypto';
import { BluelightError, errorMessage } from '../base/errors.js';
import { policyDocument, type PolicyDocument } from '../contract/policy.js';
import { parseUnique } from '../proof/json.js';
import { isTimeZone } from './hours.js';

export interface ReadPolicy {
  document: PolicyDocument;
  /** SHA-256 of the text, hex. */
  sha256: string;
}

/**
 * Reads the terms and refuses what could be misunderstood: unknown words, a key twice, an unknown time zone.
 * @param name how to call the text in the message, e.g. its path
 * @throws BluelightError POLICY_INVALID naming the path of the bad key
 */
export function readPolicy(text: string, name: string): ReadPolicy {
  let data: unknown;
  try {
    data = parseUnique(text);
  } catch (error) {
    throw invalid(name, errorMessage(error), error);
  }
  const checked = policyDocument.safeParse(data);
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    const where = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    throw invalid(name, `${where}${issue.message}`, checked.error);
  }
  if (!isTimeZone(checked.data.timeZone)) {
    throw invalid(name, `timeZone: there is no time zone "${checked.data.timeZone}"`);
  }
  return { document: checked.data, sha256: createHash('sha256').update(text).digest('hex') };
}

function invalid(name: string, why: string, cause?: unknown): BluelightError {
  return new BluelightError('POLICY_INVALID', `${name}: ${why}`, {
    fix: 'correct it; until then the last good terms stay in force, and after a restart nothing is shared',
    cause,
  });
}
