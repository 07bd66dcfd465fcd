import { BluelightError } from '../../base/errors.js';
import { clip, signedManifest, type Clip } from '../../contract/clip.js';
import { anchor } from '../../contract/evidence.js';
import { clipsBody, makeClipBody } from '../../contract/http.js';
import { canonical } from '../../proof/canonical.js';
import { rangedFile } from '../byte-range.js';
import { clipParam } from '../params.js';
import { footage, json, rangeOf, type Call, type Services, type Target } from '../route.js';
import { download } from '../stream.js';
import { clipTargets } from '../targets.js';

const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' };

export const clipRoutes = [
  footage({
    method: 'POST',
    path: '/clips',
    summary: 'Make a clip of a range, rounded out to whole segments, with its manifest.',
    auth: 'session',
    access: 'clip',
    body: makeClipBody,
    response: { status: 201, type: 'application/json', schema: clip },
    targets: (_services, { body }) => [{ camera: body.camera, range: rangeOf(body), reason: body.reason }],
    handler: async ({ ports }, call, grants) => json(await ports.clips.make(grants.one(), call.body, call), 201),
  }),
  footage({
    method: 'GET',
    path: '/clips',
    summary: 'Clips of the cameras that may be seen, newest first.',
    auth: 'session',
    access: 'timeline',
    omitDenied: true,
    response: { status: 200, type: 'application/json', schema: clipsBody },
    targets: async ({ ports }) => clipTargets(await ports.clips.list()),
    async handler({ ports }, _call, grants) {
      const clips = await ports.clips.list();
      return { clips: clips.filter((entry) => grants.of(entry.camera) !== undefined) };
    },
  }),
  footage({
    method: 'GET',
    path: '/clips/{id}',
    summary: 'One clip and how far it has got.',
    auth: 'session',
    access: 'timeline',
    response: { status: 200, type: 'application/json', schema: clip },
    targets: clipTarget,
    handler: (services, call) => found(services, call),
  }),
  footage({
    method: 'GET',
    path: '/clips/{id}/manifest',
    summary: 'The signed description of the file: what it covers, its hashes, who asked and why.',
    auth: 'session',
    access: 'clip',
    response: { status: 200, type: 'application/json', schema: signedManifest },
    targets: clipTarget,
    async handler({ ports }, call, grants) {
      const manifest = await ports.clips.manifest(grants.one(), clipParam(call));
      if (manifest !== null) return manifest;
      throw new BluelightError('NOT_FOUND', 'This clip has no manifest yet.', {
        fix: 'It is written when the clip is made; ask again in a moment.',
        retryable: true,
      });
    },
  }),
  footage({
    method: 'GET',
    path: '/clips/{id}/anchor',
    summary:
      'What proves that nothing was left out, where it came after the manifest: records and a signed checkpoint.',
    auth: 'session',
    access: 'clip',
    response: { status: 200, type: 'application/json', schema: anchor },
    targets: clipTarget,
    async handler({ ports }, call, grants) {
      const found = await ports.clips.anchor(grants.one(), clipParam(call));
      // Canonical, so that whoever has it can hash the records as they stand there.
      if (found !== null) return new Response(canonical(found), { headers: JSON_HEADERS });
      throw new BluelightError('NOT_FOUND', 'Nothing came after the manifest of this clip.', {
        fix: 'The manifest has its own checkpoint, or the next one comes within five minutes.',
        retryable: true,
      });
    },
  }),
  footage({
    method: 'GET',
    path: '/clips/{id}/file',
    summary: 'The file that the manifest proves, byte for byte.',
    auth: 'session',
    access: 'clip',
    response: { status: 200, type: 'video/mp4' },
    ranges: true,
    targets: clipTarget,
    async handler(services, call, grants) {
      const clip = await services.ports.clips.open(grants.one(), clipParam(call), call);
      const file = { ...clip, etag: `"${clip.sha256}"` };
      return rangedFile(services, call, grants.one(), file, {
        ...download(clip.name),
        'content-type': clip.name.endsWith('.jpg') ? 'image/jpeg' : 'video/mp4',
      });
    },
  }),
];

async function found({ ports }: Services, call: Pick<Call, 'params'>): Promise<Clip> {
  const entry = await ports.clips.get(clipParam(call));
  if (entry !== null) return entry;
  throw new BluelightError('NOT_FOUND', 'There is no such clip.', { fix: 'Look at the list of clips.' });
}

async function clipTarget(services: Services, call: Pick<Call, 'params'>): Promise<Target[]> {
  return clipTargets([await found(services, call)]);
}
