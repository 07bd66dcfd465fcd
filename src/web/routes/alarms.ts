import { BluelightError } from '../../base/errors.js';
import { alarmsBody } from '../../contract/http.js';
import { cameraParam } from '../params.js';
import { footage, plain, type Call, type Grants, type Services, type Target } from '../route.js';
import { streamed, type Transfer } from '../stream.js';

/** Pictures of an alarm are of this time around it. */
const AROUND_MS = 60_000;

export const alarmRoutes = [
  plain({
    method: 'GET',
    path: '/alarms',
    summary: 'What is wrong, since when, and what to bring; then what was wrong before.',
    auth: 'session',
    response: { status: 200, type: 'application/json', schema: alarmsBody },
    handler: async ({ ports }) => ({ alarms: await ports.alarms.list() }),
  }),
  ...(['before', 'now'] as const).map((which) =>
    footage({
      method: 'GET',
      path: `/alarms/{id}/${which}.png`,
      summary:
        which === 'before'
          ? 'What the camera saw when it last saw well.'
          : 'What the camera saw when the alarm was raised.',
      auth: 'session',
      access: 'still',
      response: { status: 200, type: 'image/png' },
      targets: async (services, call) => [await target(services, call)],
      handler: (services, call, grants) => picture(services, call, grants, which),
    }),
  ),
  plain({
    method: 'POST',
    path: '/cameras/{id}/view',
    summary: 'What the camera sees now is what it is to see: a moved camera is right again.',
    auth: ['technician', 'owner'],
    response: { status: 204, type: '' },
    async handler({ ports }, call) {
      await ports.alarms.acceptView(cameraParam(call), call.party);
      return new Response(null, { status: 204 });
    },
  }),
];

async function target({ ports }: Services, call: Call): Promise<Target> {
  const alarm = (await ports.alarms.list()).find((one) => one.id === call.params['id']);
  if (!alarm?.evidence || alarm.camera === null) {
    throw new BluelightError('NOT_FOUND', 'there are no pictures of this alarm', { fix: 'see the list of alarms' });
  }
  const atMs = Date.parse(alarm.raisedAt);
  return { camera: alarm.camera, range: { fromMs: atMs - AROUND_MS, toMs: atMs } };
}

async function picture(services: Services, call: Call, grants: Grants, which: 'before' | 'now'): Promise<Transfer> {
  const grant = grants.one();
  const png = await services.ports.alarms.evidence(grant, call.params['id']!, which);
  if (png === null) {
    await services.ports.finished(grant, { outcome: 'failed', bytes: 0, why: 'no picture' });
    throw new BluelightError('NOT_FOUND', 'the pictures of this alarm are gone');
  }
  return streamed(services, call, grant, once(png), {
    'content-type': 'image/png',
    'content-length': String(png.length),
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
