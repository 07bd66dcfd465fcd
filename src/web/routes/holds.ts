import { holdBody, holdsBody, makeHoldBody, releaseHoldBody, type LocalRole } from '../../contract/http.js';
import { footage, json, plain, rangeOf } from '../route.js';

const STAFF: readonly LocalRole[] = ['technician', 'owner'];

export const holdRoutes = [
  plain({
    method: 'GET',
    path: '/holds',
    summary: 'Footage that is kept from being overwritten: what, for whom, why and until when.',
    auth: STAFF,
    response: { status: 200, type: 'application/json', schema: holdsBody },
    handler: ({ ports }) => ports.holds.list(),
  }),
  footage({
    method: 'POST',
    path: '/holds',
    summary: 'Keeps a range of a camera, which may reach into the future, from being overwritten. Counts at once.',
    auth: STAFF,
    // It tells that there is footage, and shows none.
    access: 'timeline',
    body: makeHoldBody,
    response: { status: 201, type: 'application/json', schema: holdBody },
    targets: (_services, { body }) => [{ camera: body.camera, range: rangeOf(body), reason: body.reason }],
    async handler({ ports }, { body, party }, grants) {
      const expiresMs = body.until === null ? null : Date.parse(body.until);
      const { camera } = grants.one();
      const { reason } = body;
      return json(await ports.holds.add({ camera, range: rangeOf(body), reason, expiresMs }, party), 201);
    },
  }),
  plain({
    method: 'POST',
    path: '/holds/{id}/release',
    summary: 'Lets held footage be overwritten again. What the center holds only the owner releases.',
    auth: STAFF,
    body: releaseHoldBody,
    response: { status: 204, type: '' },
    async handler({ ports }, { body, params, party }) {
      await ports.holds.release(params['id'] ?? '', body.reason, party);
      return new Response(null, { status: 204 });
    },
  }),
];
