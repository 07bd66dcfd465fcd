import { pageEvent, queueBody, statusBody, threadsBody, threadsQuery, type PageEvent } from '../../contract/http.js';
import { policyDocument } from '../../contract/policy.js';
import { sse } from '../sse.js';
import { footage, plain, type Grants } from '../route.js';
import { clipTargets, everyCamera } from '../targets.js';

export const boxRoutes = [
  plain({
    method: 'GET',
    path: '/status',
    summary: 'The whole box: streams, disk, clock, center, queue, and what is wrong with its fix.',
    auth: 'session',
    response: { status: 200, type: 'application/json', schema: statusBody },
    handler: ({ ports }) => ports.status(),
  }),
  plain({
    method: 'GET',
    path: '/threads',
    summary: "How late the agent's threads answer, measured for a moment.",
    auth: 'session',
    query: threadsQuery,
    response: { status: 200, type: 'application/json', schema: threadsBody },
    handler: ({ ports }, { query }) => ports.threads(query.ms),
  }),
  footage({
    method: 'GET',
    path: '/queue',
    summary: 'Clips that wait for the center or are on their way, in the order of sending.',
    auth: 'session',
    access: 'timeline',
    omitDenied: true,
    response: { status: 200, type: 'application/json', schema: queueBody },
    targets: async ({ ports }) => clipTargets((await ports.clips.queue()).clips),
    async handler({ ports }, _call, grants) {
      const queue = await ports.clips.queue();
      return { ...queue, clips: queue.clips.filter((clip) => grants.of(clip.camera) !== undefined) };
    },
  }),
  plain({
    method: 'GET',
    path: '/policy',
    summary: "The owner's terms that are in force.",
    auth: 'session',
    response: { status: 200, type: 'application/json', schema: policyDocument },
    handler: ({ ports }) => ports.policy(),
  }),
  footage({
    method: 'GET',
    path: '/events',
    summary: 'Server-sent events: status, motion, clips and changed cameras as they happen.',
    auth: 'session',
    access: 'motion',
    omitDenied: true,
    response: { status: 200, type: 'text/event-stream', schema: pageEvent },
    targets: everyCamera,
    handler: ({ clock, ports }, call, grants) =>
      sse({
        clock,
        // It ends with the first grant that ends; the client comes back and asks anew.
        signal: AbortSignal.any([call.signal, ...grants.all().map((grant) => grant.signal)]),
        untilMono: Math.min(Infinity, ...grants.all().map((grant) => grant.expiresAtMono)),
        subscribe: (send) => ports.subscribe((event) => void (mayPass(event, grants) && send(event))),
      }),
  }),
];

/** Status is about the box; motion and clips are about a camera and need its grant. */
function mayPass(event: PageEvent, grants: Grants): boolean {
  return (event.type !== 'motion' && event.type !== 'clip') || grants.of(event.data.camera) !== undefined;
}
