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
  cpu: number | null;
  mem: number | null;
  temp: number | null;
  diskUsed: number | null;
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
}
