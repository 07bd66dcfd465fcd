import type { HttpBindings } from '@hono/node-server';
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { BluelightError, errorCode } from '../../base/errors.js';
import { slug } from '../../contract/primitives.js';
import type { Enrolment } from './enrolment.js';
import type { Membership } from './membership.js';

const MOST_BYTES = 128 * 1024;
const STATUS: Record<string, number> = { RATE_LIMITED: 429, NOT_ENROLLED: 403, BAD_CSR: 422, BAD_ENROLMENT: 400 };
const issueBody = z.strictObject({ site: slug, box: slug, lifeSeconds: z.int().min(1).max(31_536_000).optional() });
const revokeBody = z.strictObject({ reason: z.string().trim().min(1).max(300) });

/** Where boxes enrol, and what the people of the center do about boxes: the latter from this machine only. */
export function enrolmentRoutes(
  app: Hono,
  { enrolment, membership }: { enrolment: Enrolment; membership: Membership },
) {
  app.get('/enrol', (c) => c.text(enrolment.hello()));
  app.post('/enrol', async (c) =>
    answered(c, async () => {
      const { answer, refused } = enrolment.enrol(await body(c));
      return c.json({ answer }, refused ? 403 : 200);
    }),
  );
  app.post('/enrol/certificate', async (c) =>
    answered(c, async () => c.json({ answer: await enrolment.certificate(await body(c)) })),
  );
  app.post('/api/claims', async (c) => {
    refuseStrangers(c);
    const { site, box, lifeSeconds } = issueBody.parse(await body(c));
    return c.json(enrolment.issue(site, box, lifeSeconds === undefined ? undefined : lifeSeconds * 1_000), 201);
  });
  app.post('/api/boxes/:site/:box/revoke', async (c) => {
    refuseStrangers(c);
    const { reason } = revokeBody.parse(await body(c));
    membership.revoke(c.req.param('site'), c.req.param('box'), reason);
    return c.json(membership.message(c.req.param('site'), c.req.param('box')));
  });
  app.get('/api/boxes/:site/:box/enrolment', (c) => {
    refuseStrangers(c);
    return c.json(membership.message(c.req.param('site'), c.req.param('box')));
  });
  app.post('/api/key/rotate', (c) => {
    refuseStrangers(c);
    return c.json({ key: membership.rotateKey() });
  });
}

async function answered(c: Context, work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    const status = STATUS[errorCode(error) ?? ''];
    if (status === undefined || !(error instanceof BluelightError)) throw error;
    const { code, message: detail, retryable } = error;
    const problem = { type: 'about:blank', title: code, status, code, detail, retryable };
    return c.json(problem, status as 400, { 'content-type': 'application/problem+json' });
  }
}

async function body(c: Context): Promise<unknown> {
  if (Number(c.req.header('content-length') ?? MOST_BYTES + 1) > MOST_BYTES) {
    throw new BluelightError('BAD_ENROLMENT', 'the request is too long');
  }
  return c.req.json();
}

/** There are no logins here: only programs of this machine, and no web page in somebody's browser. */
function refuseStrangers(c: Context): void {
  const { remoteAddress } = (c.env as HttpBindings).incoming.socket;
  const own = /^(::1|(::ffff:)?127(\.\d{1,3}){3})$/.test(remoteAddress ?? '');
  if (own && c.req.header('origin') === undefined) return;
  throw new BluelightError('FORBIDDEN', 'this is for programs on the machine of the center');
}
