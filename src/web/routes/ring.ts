import { ringCheckAsk, ringCheckBody } from '../../contract/ring.js';
import { plain } from '../route.js';

export const ringRoutes = [
  plain({
    method: 'POST',
    path: '/ring/check',
    summary: 'Hold index and recordings against each other, beside recording; one check at a time.',
    auth: ['technician', 'owner'],
    body: ringCheckAsk,
    response: { status: 200, type: 'application/json', schema: ringCheckBody },
    handler: async ({ ports }, call) => ({ check: await ports.ring.check(call.body, call.party) }),
  }),
  plain({
    method: 'GET',
    path: '/ring/check',
    summary: 'How far the check is, and what it found.',
    auth: ['technician', 'owner'],
    response: { status: 200, type: 'application/json', schema: ringCheckBody },
    handler: async ({ ports }) => ({ check: await ports.ring.checkReport() }),
  }),
];
