import { BluelightError, errorMessage } from '../../base/errors.js';
import { stillQuery } from '../../contract/http.js';
import { toUtc } from '../../contract/primitives.js';
import { cameraParam } from '../params.js';
import { footage, type Call, type Services, type Target } from '../route.js';
import { streamed } from '../stream.js';
import { fromNow } from '../targets.js';

/** When the picture was taken, UTC. */
export const CAPTURED = 'x-captured-at';

type StillCall = Call<{ role: 'main' | 'sub'; at?: string }>;

export const stillRoutes = [
  footage({
    method: 'GET',
    path: '/cameras/{id}/snapshot.jpg',
    summary:
      'One picture in full size: the newest, or the one nearest to `at`, out of the stream that is recorded. ' +
      'X-Captured-At in the answer says when it was taken.',
    auth: 'session',
    access: 'still',
    query: stillQuery,
    response: { status: 200, type: 'image/jpeg' },
    targets: async (services, call) => [await target(services, call)],
    async handler(services, call, grants) {
      const { ports } = services;
      const grant = grants.one();
      const { role, at } = call.query;
      const still = await ports.stills
        .take(grant, role, at === undefined ? null : Date.parse(at), call.signal)
        .catch(async (error: unknown) => {
          await ports.finished(grant, { outcome: 'failed', bytes: 0, why: errorMessage(error) });
          throw error;
        });
      const time = toUtc(still.atMs);
      const name = `${grant.camera}-${role}-${time.replace(/[-:.]/g, '')}.jpg`;
      return streamed(services, call, grant, once(still.jpeg), {
        'content-type': 'image/jpeg',
        'content-length': String(still.jpeg.length),
        'content-disposition': `inline; filename="${name}"`,
        [CAPTURED]: time,
      });
    },
  }),
];

async function target({ clock, ports }: Services, call: StillCall): Promise<Target> {
  const camera = cameraParam(call);
  const { role, at } = call.query;
  const now = clock.now();
  if (at === undefined) {
    const cameras = await ports.cameras.list();
    if (cameras.some((one) => one.id === camera)) return { camera, range: fromNow(now) };
    throw new BluelightError('UNKNOWN_CAMERA', `There is no camera ${camera}.`, {
      fix: 'See the list of cameras. Of a removed one there are pictures of the past: give a time.',
    });
  }
  const atMs = Date.parse(at);
  if (Number.isNaN(atMs)) throw new BluelightError('BAD_REQUEST', `query at: ${at} is no day or hour that there is`);
  if (atMs > now) {
    throw new BluelightError('BAD_REQUEST', `query at: ${at} is still to come; it is ${toUtc(now)} on the box`, {
      fix: 'Leave it out for the newest picture.',
    });
  }
  return { camera, range: await ports.stills.range(camera, role, atMs, call.signal) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
