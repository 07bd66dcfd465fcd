import type { BoxView, ClipView, EventView, JobView } from './console-state.js';
import type { PolicyReported } from '../../contract/messages.js';
import type { BoxRecord, CheckpointRecord, ClipRecord, StoredEvent } from './records.js';
import { openEnvelope } from '../../proof/dsse.js';
import { toErrorData } from '../../base/errors.js';
import type { JobRecord } from './requests.js';
import { MANIFEST_TYPE } from '../../contract/upload.js';

export function boxView(
  box: BoxRecord,
  { checkpoints, policy }: { checkpoints: readonly CheckpointRecord[]; policy: PolicyReported | null },
  now: number,
): BoxView {
  const beat = box.heartbeat;
  return {
    site: box.site,
    box: box.box,
    state: box.status?.state ?? 'unknown',
    reason: box.status?.reason ?? '',
    session: box.status?.session ?? null,
    since: box.status?.ts ?? null,
    key: box.key,
    refusedKey: box.refusedKey,
    agent: box.info?.agent ?? null,
    heartbeatAgeMs: box.heartbeatAt === null ? null : Math.max(0, now - box.heartbeatAt),
    checkpoint:
      checkpoints[0] === undefined
        ? null
        : {
            n: checkpoints[0].n,
            receivedAt: checkpoints[0].receivedAt,
            problem: checkpoints.find((one) => one.problem !== null)?.problem ?? null,
          },
    cpu: beat?.cpu ?? null,
    mem: beat?.mem ?? null,
    temp: beat?.temp ?? null,
    diskUsed: beat?.disk.used ?? null,
    policy:
      policy === null
        ? null
        : {
            version: policy.document?.version ?? null,
            signed: policy.signed !== null,
            enrolment: policy.enrolment,
            paused: policy.paused,
          },
    queue: beat?.queue ?? null,
    cameras: cameras(box),
  };
}

function cameras(box: BoxRecord): BoxView['cameras'] {
  const beats = new Map((box.heartbeat?.cams ?? []).map((cam) => [cam.id, cam]));
  const named = box.info?.cameras ?? [];
  return named.map((camera) => {
    const beat = beats.get(camera.id);
    return {
      id: camera.id,
      name: camera.name,
      state: beat?.state ?? 'unknown',
      fps: beat?.fps ?? null,
      age: beat?.age ?? null,
      gap: beat?.gap ?? null,
    };
  });
}

export function eventView(event: StoredEvent): EventView {
  const data = event.data as { id?: unknown; camera?: unknown } | null;
  return {
    id: event.id,
    site: event.site,
    box: event.box,
    camera: typeof data?.camera === 'string' ? data.camera : event.stream,
    type: event.type,
    time: event.time,
    receivedAt: event.receivedAt,
    motionEvent: typeof data?.id === 'string' ? data.id : null,
  };
}

export function clipView(clip: ClipRecord, box: BoxRecord | undefined): ClipView {
  const { manifest } = clip;
  const signature = check(clip, box);
  return {
    clip: clip.clip,
    site: clip.site,
    box: clip.box,
    camera: clip.camera,
    cameraName: manifest.cameraName,
    from: manifest.covers.from,
    to: manifest.covers.to,
    bytes: manifest.file.bytes,
    sha256: manifest.file.sha256,
    state: clip.state,
    announcedAt: clip.announcedAt,
    deliveredAt: clip.deliveredAt,
    signature: signature === null ? 'valid' : 'invalid',
    detail: signature ?? '',
    gaps: manifest.gaps.length,
    requester: manifest.requester,
    reason: manifest.reason,
    picture: manifest.derived === undefined ? null : { masked: manifest.derived.masked },
  };
}

export function jobView(record: JobRecord): JobView {
  const { job, site, box, name, operator, agency, reason, issuedAt, message } = record;
  const base = { job, site, box, name, operator, agency, reason, issuedAt };
  if (message === null) return { ...base, state: 'SENT', detail: '' };
  const { error, progress } = message;
  const detail = error === null ? inWords(progress) : `${error.code}: ${error.message}`;
  return { ...base, state: message.state, detail };
}

function inWords(progress: unknown): string {
  const { waiting, clips } = (progress ?? {}) as { waiting?: unknown; clips?: { state: string; sentBytes: number }[] };
  if (waiting === 'owner') return 'the owner is asked';
  if (!Array.isArray(clips)) return '';
  const sent = clips.reduce((sum, clip) => sum + clip.sentBytes, 0);
  return `${clips.filter((clip) => clip.state === 'delivered').length} of ${clips.length} clips, ${sent} bytes sent`;
}

function check(clip: ClipRecord, box: BoxRecord | undefined): string | null {
  try {
    openEnvelope(clip.envelope, {
      payloadType: MANIFEST_TYPE,
      trusted: box === undefined || box.key === null ? [] : [box.key],
    });
    return null;
  } catch (error) {
    return toErrorData(error).code;
  }
}
