import type { z } from 'zod';
import { BluelightError } from '../base/errors.js';
import { cameraId, ulidText } from '../contract/primitives.js';
import type { Call } from './route.js';

/** Checks what came from outside; the message names the field and says what it should be. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue === undefined || issue.path.length === 0 ? where : `${where} ${issue.path.join('.')}`;
  throw new BluelightError('BAD_REQUEST', `${field}: ${issue?.message ?? 'not valid'}`, {
    fix: 'The description of the API says what belongs here: docs/openapi.json.',
  });
}

export function cameraParam(call: Pick<Call, 'params'>): string {
  return parse(cameraId, call.params['id'], 'camera id');
}

export function clipParam(call: Pick<Call, 'params'>): string {
  return parse(ulidText, call.params['id'], 'clip id');
}
