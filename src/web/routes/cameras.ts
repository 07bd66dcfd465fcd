import { device } from '../../contract/camera.js';
import {
  addDeviceBody,
  addedDeviceBody,
  camerasBody,
  cameraTestBody,
  credentialsBody,
  deviceIoBody,
  devicesBody,
  discoveryBody,
  relayBody,
  relayResultBody,
  scanQuery,
  tuneBody,
  tuneResultBody,
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
    query: scanQuery,
    response: { status: 202, type: 'application/json', schema: discoveryBody },
    async handler({ ports }, call) {
      await ports.cameras.scan({ ports: call.query.ports });
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
    method: 'GET',
    path: '/devices',
    summary: 'Every adopted device: whether it lets the box in, where it is, who tells of its motion.',
    auth: INSTALLERS,
    response: { status: 200, type: 'application/json', schema: devicesBody },
    handler: async ({ ports }) => ({ devices: await ports.cameras.devices() }),
  }),
  plain({
    method: 'POST',
    path: '/cameras/{id}/replace',
    summary: 'Put another device in the place of a camera: id, name, zones and history stay.',
    auth: INSTALLERS,
    body: addDeviceBody,
    response: { status: 201, type: 'application/json', schema: addedDeviceBody },
    handler: async ({ ports }, call) =>
      json(await ports.cameras.replace(cameraParam(call), call.body, call.party), 201),
  }),
  plain({
    method: 'POST',
    path: '/cameras/{id}/credentials',
    summary: 'Give the box the user name and password of a camera; they are tried once and stored if they work.',
    auth: INSTALLERS,
    body: credentialsBody,
    response: { status: 204, type: '' },
    async handler({ ports }, call) {
      await ports.cameras.password(cameraParam(call), call.body, call.party);
      return new Response(null, { status: 204 });
    },
  }),
  plain({
    method: 'POST',
    path: '/cameras/{id}/certificate',
    summary: 'Accept the TLS certificate that the camera shows now.',
    auth: INSTALLERS,
    response: { status: 200, type: 'application/json', schema: device },
    handler: ({ ports }, call) => ports.cameras.trust(cameraParam(call), call.party),
  }),
  plain({
    method: 'GET',
    path: '/cameras/{id}/io',
    summary: 'Relay outputs and digital inputs of the camera.',
    auth: INSTALLERS,
    response: { status: 200, type: 'application/json', schema: deviceIoBody },
    handler: ({ ports }, call) => ports.cameras.io(cameraParam(call)),
  }),
  plain({
    method: 'POST',
    path: '/cameras/{id}/relay',
    summary: 'Close or open a relay of the camera, confirmed by what it tells afterwards.',
    auth: INSTALLERS,
    body: relayBody,
    response: { status: 200, type: 'application/json', schema: relayResultBody },
    handler: ({ ports }, call) => ports.cameras.relay(cameraParam(call), call.body, call.party),
  }),
  plain({
    method: 'POST',
    path: '/cameras/{id}/tune',
    summary: "Change the camera's own settings with the technician's consent; undone when it is removed.",
    auth: INSTALLERS,
    body: tuneBody,
    response: { status: 200, type: 'application/json', schema: tuneResultBody },
    handler: async ({ ports }, call) => ({
      changed: await ports.cameras.tune(cameraParam(call), call.body, call.party),
    }),
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
