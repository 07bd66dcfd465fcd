import { expect, test } from 'vitest';
import type { Grant } from '../../src/contract/grant.js';
import { LiveHub } from '../../src/ingest/live-hub.js';
import { LiveFan, type LiveListener } from '../../src/ingest/live.js';
import type { Fragment, RunStart } from '../../src/media/stream.js';

const start = (run: string): RunStart => ({
  stream: 'door.sub',
  camera: 'door',
  role: 'sub',
  run,
  engine: 'native',
  format: { codec: 'h264', width: 640, height: 360, codecString: 'avc1.64001f', parameterSets: [] },
  init: new Uint8Array([1]),
  wallMs: 1_000,
  monoMs: 0,
});
const fragment = (index: number, key = false): Fragment => ({
  index,
  key,
  decodeTime: 0,
  duration: 1,
  frames: 1,
  wallMs: 0,
  monoMs: 0,
  bytes: new Uint8Array([index]),
});

function viewer(seen: string[], name: string): LiveListener {
  return {
    run: (run) => void seen.push(`${name} run ${run.run}`),
    fragment: (f) => void seen.push(`${name} ${f.bytes[0]}`),
    paused: (reason) => void seen.push(`${name} paused ${reason}`),
  };
}

/** The two halves joined as the two threads are. */
/** Only the gate makes grants; what is tested here reads the camera from one. */
const granted = { camera: 'door' } as unknown as Grant;

function site() {
  const source = new LiveFan();
  const leaves = new Map<string, () => void>();
  const asked: string[] = [];
  const hub = new LiveHub({
    watch(stream, on) {
      asked.push(`${stream} ${on ? 'on' : 'off'}`);
      leaves.get(stream)?.();
      if (!on) return;
      const relay: LiveListener = {
        run: (run) => hub.take({ stream, kind: 'run', run }),
        fragment: (f) => hub.take({ stream, kind: 'fragment', fragment: f }),
        paused: (reason, detail) => hub.take({ stream, kind: 'paused', reason, detail }),
      };
      leaves.set(stream, source.subscribe(stream, relay));
    },
  });
  return { source, hub, asked };
}

test('a viewer sees the newest group of pictures at once, a second one too, and nothing is sent unwatched', () => {
  const { source, hub, asked } = site();
  const seen: string[] = [];
  source.run(start('R1'));
  for (const f of [fragment(0, true), fragment(1), fragment(2, true), fragment(3)]) source.fragment('door.sub', f);
  const leaveA = hub.subscribe(granted, 'sub', viewer(seen, 'A'));
  expect(seen.splice(0)).toEqual(['A run R1', 'A 2', 'A 3']);
  const leaveB = hub.subscribe(granted, 'sub', viewer(seen, 'B'));
  source.fragment('door.sub', fragment(4));
  expect(seen.splice(0)).toEqual(['B run R1', 'B 2', 'B 3', 'A 4', 'B 4']);
  leaveA();
  leaveB();
  leaveB();
  source.fragment('door.sub', fragment(5));
  expect(seen).toEqual([]);
  expect(asked).toEqual(['door.sub on', 'door.sub off']);
});

test('a stream that stands still says why, and goes on with a new run', () => {
  const { source, hub } = site();
  const seen: string[] = [];
  source.take({ stream: 'door.sub', kind: 'paused', reason: 'camera_offline', detail: 'no answer' });
  hub.subscribe(granted, 'sub', viewer(seen, 'A'));
  source.run(start('R2'));
  source.fragment('door.sub', fragment(0, true));
  expect(seen).toEqual(['A paused camera_offline', 'A run R2', 'A 0']);
});
