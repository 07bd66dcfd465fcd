import { z } from 'zod';
import * as audit from '../contract/audit.js';
import * as camera from '../contract/camera.js';
import * as clip from '../contract/clip.js';
import * as coverage from '../contract/coverage.js';
import * as http from '../contract/http.js';
import * as messages from '../contract/messages.js';
import { alarm } from '../contract/alarm.js';
import * as motion from '../contract/motion.js';
import * as policy from '../contract/policy.js';
import * as primitives from '../contract/primitives.js';
import type { Route } from './route.js';

type Json = Record<string, unknown>;

/** Schemas that are worth a name of their own in the description. */
const NAMED: Record<string, z.ZodType> = {
  Slug: primitives.slug,
  Ulid: primitives.ulidText,
  Utc: primitives.utc,
  Sha256: primitives.sha256Hex,
  PublicKey: primitives.publicKeyText,
  Problem: http.problem,
  Session: http.sessionBody,
  Status: http.statusBody,
  Camera: camera.camera,
  Device: camera.device,
  StreamStatus: camera.streamStatus,
  Discovered: camera.discovered,
  DeviceStatus: camera.deviceStatus,
  CameraEvent: camera.cameraEvent,
  Discovery: http.discoveryBody,
  CameraTest: http.cameraTestBody,
  Coverage: coverage.streamCoverage,
  Timeline: http.timelineBody,
  Alarm: alarm,
  MotionEvent: motion.motionEvent,
  Recordings: http.recordingsBody,
  Clip: clip.clip,
  SignedManifest: clip.signedManifest,
  Queue: http.queueBody,
  Policy: policy.policyDocument,
  AuditEntry: audit.auditEntry,
  ClaimFile: messages.claimFile,
  PageEvent: http.pageEvent,
  StreamMessage: http.streamMessage,
};

/** OpenAPI 3.1 of `/api/v1`, made of the route table: what is not in the table does not exist. */
export function openApi(routes: readonly Route[], version: string): Json {
  const schemas = new Schemas();
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = operation(route, schemas);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'bluelight local API',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'The API of one box, on its HTTPS port and on its Unix socket. Errors are problem+json (RFC 9457) with a ' +
        'stable code and a fix. With the cookie, everything that changes something needs Origin and X-CSRF-Token.',
    },
    servers: [{ url: 'https://localhost:8443/api/v1' }],
    paths,
    components: {
      schemas: schemas.all(),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'From POST /login with {"as": "token"}.' },
        cookie: { type: 'apiKey', in: 'cookie', name: '__Host-bluelight' },
      },
    },
  };
}

function operation(route: Route, schemas: Schemas): Json {
  const name = route.path.replace(/[/.{}]+(\w?)/g, (_, letter: string) => letter.toUpperCase());
  const roles = Array.isArray(route.auth) ? route.auth.join(', ') : null;
  return {
    operationId: `${route.method.toLowerCase()}${name}`,
    summary: route.summary,
    ...(roles === null ? {} : { description: `For: ${roles}.` }),
    security: route.auth === 'public' ? [] : [{ token: [] }, { cookie: [] }],
    // What the gate is asked before this shows anything.
    ...(route.access === null ? {} : { 'x-access': route.access }),
    ...(route.access === null || !route.omitDenied ? {} : { 'x-denied': 'omitted' }),
    parameters: [
      ...pathParameters(route.path),
      ...queryParameters(route.query, schemas),
      ...(route.ranges === true ? RANGE_HEADERS : []),
    ],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: jsonContent(schemas.of(route.body, 'input')) } }),
    responses: {
      [route.response.status]: {
        description: route.summary,
        ...(route.response.type === ''
          ? {}
          : { content: { [route.response.type]: { schema: responseSchema(route, schemas) } } }),
      },
      ...(route.ranges === true ? rangeResponses(route) : {}),
      default: {
        description: 'What went wrong and what to do.',
        content: { 'application/problem+json': { schema: schemas.of(http.problem, 'output') } },
      },
    },
  };
}

const RANGE_HEADERS: Json[] = ['Range', 'If-Range'].map((name) => ({
  name,
  in: 'header',
  required: false,
  schema: { type: 'string' },
}));

function rangeResponses(route: Route): Json {
  const content = { [route.response.type]: { schema: { type: 'string', format: 'binary' } } };
  return {
    206: { description: 'The part that was asked for.', content },
    416: { description: 'The file has no such part.' },
  };
}

function responseSchema(route: Route, schemas: Schemas): Json {
  const { schema } = route.response;
  return schema === undefined ? { type: 'string', format: 'binary' } : schemas.of(schema, 'output');
}

function jsonContent(schema: Json): Json {
  return { 'application/json': { schema } };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: z.ZodType | undefined, schemas: Schemas): Json[] {
  if (query === undefined) return [];
  const object = schemas.of(query, 'input') as { properties?: Record<string, Json>; required?: string[] };
  return Object.entries(object.properties ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: object.required?.includes(name) ?? false,
    schema,
  }));
}

/** zod to JSON Schema 2020-12, which OpenAPI 3.1 takes as it is, with references to the named ones. */
class Schemas {
  readonly #registry = z.registry<{ id: string }>();

  constructor() {
    for (const [id, schema] of Object.entries(NAMED)) this.#registry.add(schema, { id });
  }

  all(): Json {
    const { schemas } = z.toJSONSchema(this.#registry, { uri, io: 'output' });
    return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, tidy(schema)]));
  }

  of(schema: z.ZodType, io: 'input' | 'output'): Json {
    const id = this.#registry.get(schema)?.id;
    if (id !== undefined && io === 'output') return { $ref: uri(id) };
    const one = z.registry<{ id: string }>();
    for (const [name, named] of Object.entries(NAMED)) if (named !== schema) one.add(named, { id: name });
    one.add(schema, { id: '_' });
    return tidy(z.toJSONSchema(one, { uri, io }).schemas['_'] ?? {});
  }
}

function uri(id: string): string {
  return `#/components/schemas/${id}`;
}

/** Without the marks of a document of its own. */
function tidy(schema: object): Json {
  const { $schema: _, $id: __, id: ___, ...rest } = schema as Json;
  return rest;
}
