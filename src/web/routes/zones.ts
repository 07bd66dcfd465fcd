import { BluelightError } from '../../base/errors.js';
import { motionZones } from '../../contract/zones.js';
import { cameraParam } from '../params.js';
import { plain, type Call, type Services } from '../route.js';

export const zoneRoutes = [
  plain({
    method: 'GET',
    path: '/cameras/{id}/zones',
    summary: 'Which part of the motion of a camera is told: zones, masks, least size, hours.',
    auth: 'session',
    response: { status: 200, type: 'application/json', schema: motionZones },
    handler: async (services, call) => services.ports.zones.get(await known(services, call)),
  }),
  plain({
    method: 'PUT',
    path: '/cameras/{id}/zones',
    summary: 'Replace the zones of a camera; in force with its next picture.',
    auth: ['technician', 'owner'],
    body: motionZones,
    response: { status: 200, type: 'application/json', schema: motionZones },
    async handler(services, call) {
      const camera = await known(services, call);
      await services.ports.zones.set(camera, call.body, call.party);
      return services.ports.zones.get(camera);
    },
  }),
];

async function known({ ports }: Services, call: Pick<Call, 'params'>): Promise<string> {
  const camera = cameraParam(call);
  const cameras = await ports.cameras.list();
  if (cameras.some((one) => one.id === camera)) return camera;
  throw new BluelightError('UNKNOWN_CAMERA', `There is no camera ${camera}.`, { fix: 'See the list of cameras.' });
}
