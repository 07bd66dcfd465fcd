/** What the console page shows. Plain data: times in ms since 1970, sizes in bytes. */
export interface ConsoleState {
  now: number;
  center: { id: string; publicKey: string };
  events: EventView[];
  /** Events kept, and how many came more than once (recognised by their id). */
  eventCount: number;
  duplicates: number;
  boxes: BoxView[];
  clips: ClipView[];
  operators: { operator: string; agency: string; name: string; role: string }[];
  jobs: JobView[];
}

export interface JobView {
  job: string;
  site: string;
  box: string;
  name: string;
  operator: string;
  agency: string;
  reason: string;
  issuedAt: number;
  /** `SENT`: the box has not answered yet. */
  state: string;
  /** In words: what it waits for, how far it is, why it was refused. */
  detail: string;
}

export interface BoxView {
  site: string;
  box: string;
  state: 'online' | 'offline' | 'lost' | 'maintenance' | 'unknown';
  reason: string;
  session: string | null;
  since: string | null;
  key: string | null;
  refusedKey: string | null;
  agent: string | null;
  heartbeatAgeMs: number | null;
  /** The newest signed statement of the box about its recordings, and the last one that did not fit. */
  checkpoint: { n: number; receivedAt: number; problem: string | null } | null;
  cpu: number | null;
  mem: number | null;
  temp: number | null;
  diskUsed: number | null;
  /** The terms that it says are in force; null: it has not said. */
  policy: { version: number | null; signed: boolean; enrolment: string; paused: boolean } | null;
  queue: { clips: number; bytes: number; outbox: number } | null;
  cameras: { id: string; name: string; state: string; fps: number | null; age: number | null; gap: number | null }[];
}

export interface EventView {
  id: string;
  site: string;
  box: string;
  camera: string;
  type: string;
  time: string;
  receivedAt: number;
  motionEvent: string | null;
}

export interface ClipView {
  clip: string;
  site: string;
  box: string;
  camera: string;
  cameraName: string;
  from: string;
  to: string;
  bytes: number;
  sha256: string;
  state: 'expected' | 'receiving' | 'delivered';
  announcedAt: number;
  deliveredAt: number | null;
  /** Does the manifest carry the signature of the key that is pinned for this box? */
  signature: 'valid' | 'invalid';
  detail: string;
  gaps: number;
  requester: string;
  reason: string;
  /** A single picture, and whether areas are hidden in it; null: it is footage as it was recorded. */
  picture: { masked: boolean } | null;
}
