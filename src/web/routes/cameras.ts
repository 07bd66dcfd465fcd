import {
  addDeviceBody,
  addedDeviceBody,
  camerasBody,
  cameraTestBody,
  discoveryBody,
  type LocalRole,
} from '../../contract/http.js';
import { cameraParam } from '../params.js';
import { json, plain } from '../route.js';

/** Who may change which cameras the box records. */
const INSTALLERS: readonly LocalRole[] = ['technician', 'owner'];

export const cameraRoutes = [
  plain({
    method: 'GET',
    path: '/cameras',
    summary: 'Adopted cameras with their streams.',
    auth: 'session',
    response: { status: 200, type: 'application/json', schema: camerasBody },
    handler: async ({ ports }) => ({ cameras: await ports.cameras.list() }),
  }),
  plain({
    method: 'POST',
    path: '/discovery/scan',
    summary: 'Look for cameras on every camera-side interface; answers at once.',
    auth: INSTALLERS,
    response: { status: 202, type: 'application/json', schema: discoveryBody },
    async handler({ ports }) {
      await ports.cameras.scan();
      return json(await ports.cameras.discovered(), 202);
    },
  }),
  plain({
    method: 'GET',
    path: '/discovery/devices',
    summary: 'What the last or running search has found.',
    auth: INSTALLERS,
    response: { status: 200, type: 'application/json', schema: discoveryBody },
    handler: ({ ports }) => ports.cameras.discovered(),
  }),
  plain({
    method: 'POST',
    path: '/devices',
    summary: 'Adopt a device with its credentials; every video source becomes a camera.',
    auth: INSTALLERS,
    body: addDeviceBody,
    response: { status: 201, type: 'application/json', schema: addedDeviceBody },
    handler: async ({ ports }, call) => json(await ports.cameras.add(call.body, call.party), 201),
  }),
  plain({
    method: 'POST',
    path: '/cameras/{id}/test',
    summary: 'Log in to the camera, ask for its streams, read pictures; each step with its fix.',
    auth: INSTALLERS,
    response: { status: 200, type: 'application/json', schema: cameraTestBody },
    handler: ({ ports }, call) => ports.cameras.test(cameraParam(call)),
  }),
  plain({
    method: 'DELETE',
    path: '/cameras/{id}',
    summary: 'Stop recording a camera. What is recorded stays until the ring needs the room.',
    auth: INSTALLERS,
    response: { status: 204, type: '' },
    async handler({ ports }, call) {
      await ports.cameras.remove(cameraParam(call), call.party);
      return new Response(null, { status: 204 });
    },
  }),
];
