import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { errorMessage } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { PICTURE_FAULTS, type VirtualCamera } from './options.js';

const faults = z
  .object({
    freeze: z.enum(['off', 'silent', 'picture']),
    dropShare: z.number().min(0).max(1),
    clockOffsetMs: z.number().int(),
    password: z.string().min(1),
    discoveryLossShare: z.number().min(0).max(1),
    hostileDiscovery: z.boolean(),
    garbage: z.enum(['off', 'payload', 'wire']),
    slow: z.boolean(),
    bitrateFactor: z.number().min(1).max(1_000),
    noKeyFrames: z.boolean(),
    halfOpen: z.boolean(),
    redirectTo: z.string().max(100),
    events: z.enum(['ok', 'unavailable', 'flood', 'bad_dates', 'no_dates', 'forgets']),
  })
  .partial()
  .strict();
const picture = z.object({ fault: z.enum(['off', ...PICTURE_FAULTS]) }).strict();
const reboot = z.object({ downMs: z.number().int().min(0).max(3_600_000) }).strict();
const move = z.object({ address: z.ipv4(), downMs: z.number().int().min(0).max(3_600_000).default(0) }).strict();
const video = z
  .object({
    role: z.enum(['main', 'sub']),
    codec: z.enum(['h264', 'h265']),
    width: z.number().int().min(64).max(7_680),
    height: z.number().int().min(64).max(4_320),
    fps: z.number().int().min(1).max(60),
    gopSeconds: z.number().min(0.2).max(60),
    kbps: z.number().int().min(50).max(50_000),
  })
  .partial()
  .required({ role: true })
  .strict();
const sensor = z
  .object({
    sensor: z.enum(['motion', 'tamper', 'input']),
    /** Of the channel or the input, from 1. */
    number: z.number().int().min(1).default(1),
    active: z.boolean(),
  })
  .strict();
const nothing = z.object({}).strict();

const MAX_BODY_BYTES = 10_000;

export interface ControlOptions {
  port: number;
  cameras: readonly VirtualCamera[];
  log: Log;
}

/**
 * Switches faults of running cameras from outside, on this machine only (HTTP on 127.0.0.1):
 * `GET /cameras`, and `POST /cameras/{id}/faults|picture|reboot|move|video|sensor|stop|start` with a JSON body.
 */
export async function startControl(options: ControlOptions): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    handle(options, request, response).catch((error: unknown) => send(response, 400, { error: errorMessage(error) }));
  });
  server.listen(options.port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function handle(options: ControlOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [root, id, verb] = (request.url ?? '').split('/').slice(1);
  if (request.method === 'GET' && root === 'cameras' && id === undefined) {
    return send(response, 200, { cameras: options.cameras.map(describe) });
  }
  const camera = options.cameras.find((one) => one.id === id);
  if (request.method !== 'POST' || root !== 'cameras' || camera === undefined) return send(response, 404, {});
  const body: unknown = JSON.parse((await readText(request)) || '{}');
  switch (verb) {
    case 'faults':
      camera.setFaults(faults.parse(body));
      break;
    case 'picture': {
      const { fault } = picture.parse(body);
      await camera.setPicture(fault === 'off' ? undefined : fault);
      break;
    }
    case 'reboot': {
      const { downMs } = reboot.parse(body);
      // Answered at once: whoever asks does not wait for the camera to come back.
      camera.reboot(downMs).catch((error: unknown) => {
        options.log.error({ camera: camera.id, reason: errorMessage(error) }, 'the camera did not come back');
      });
      break;
    }
    case 'move': {
      const { address, downMs } = move.parse(body);
      camera.move(address, downMs).catch((error: unknown) => {
        options.log.error({ camera: camera.id, reason: errorMessage(error) }, 'the camera did not come back');
      });
      break;
    }
    case 'video': {
      const { role, ...change } = video.parse(body);
      await camera.changeVideo(role, change);
      break;
    }
    case 'sensor':
      sense(camera, sensor.parse(body));
      break;
    case 'stop':
      nothing.parse(body);
      await camera.stop();
      break;
    case 'start':
      nothing.parse(body);
      await camera.start();
      break;
    default:
      return send(response, 404, {});
  }
  send(response, 200, describe(camera));
}

function sense(camera: VirtualCamera, { sensor: kind, number, active }: z.infer<typeof sensor>): void {
  if (kind === 'motion') camera.setMotion(number, active);
  else if (kind === 'tamper') camera.setTamper(number, active);
  else camera.setInput(number, active);
}

/** Everything a test needs to know; the password is not among it. */
function describe(camera: VirtualCamera): object {
  const { id, address, xaddr, endpointReference, onvifPort, rtspPort, streams, truth } = camera;
  const state = { logins: camera.logins(), clients: camera.clients(), relays: camera.relays() };
  return { id, address, xaddr, endpointReference, onvifPort, rtspPort, streams, truth: truth ?? null, ...state };
}

async function readText(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY_BYTES) request.destroy();
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
