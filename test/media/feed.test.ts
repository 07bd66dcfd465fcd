import { expect, test } from 'vitest';
import { Feed, type FeedMessage } from '../../src/media/feed.js';
import type { Fragment, RunStart } from '../../src/media/stream.js';

const start: RunStart = {
  stream: 'door.main',
  camera: 'door',
  role: 'main',
  run: 'R0',
  engine: 'native',
  format: { codec: 'h264', width: 2, height: 2, codecString: 'avc1.64001f', parameterSets: [] },
  init: new Uint8Array(1),
  wallMs: 0,
  monoMs: 0,
};
const fragment = (index: number, key: boolean): Fragment => ({
  index,
  key,
  decodeTime: index * 45_000,
  duration: 45_000,
  frames: 7,
  wallMs: index * 500,
  monoMs: index * 500,
  bytes: new Uint8Array(100),
});

test('a disk that does not keep up costs whole groups of pictures, and the gap says so', () => {
  const posted: FeedMessage[] = [];
  let runs = 0;
  const feed = new Feed({
    post: (m) => void posted.push(...m),
    later: (work) => work(),
    limitBytes: 250,
    newRunId: () => `R${++runs}`,
  });
  feed.run(start);
  // Every third fragment starts a group; nothing is taken until after the fourth.
  for (let i = 0; i < 4; i++) feed.fragment('door.main', 'R0', fragment(i, i % 3 === 0));
  feed.ack({ taken: 200, memory: [] });
  for (let i = 4; i < 8; i++) feed.fragment('door.main', 'R0', fragment(i, i % 3 === 0));
  feed.end('door.main', 'R0', 'camera_offline', '');
  const told = posted.map((m) => {
    if (m.kind === 'run') return `run ${m.start.run} at ${m.start.wallMs}`;
    return m.kind === 'end' ? `end ${m.run} ${m.reason}` : `${m.run} ${m.fragment.index}`;
  });
  expect(told).toEqual([
    'run R0 at 0',
    'R0 0',
    'R0 1',
    'end R0 disk_slow',
    'run R1 at 3000',
    'R1 6',
    'R1 7',
    'end R1 camera_offline',
  ]);
  expect(feed.waitingBytes).toBe(200);
});

test('an end without a run, and fragments of a run that is over, are told and dropped', () => {
  const posted: FeedMessage[] = [];
  const feed = new Feed({
    post: (m) => void posted.push(...m),
    later: (work) => work(),
    limitBytes: 250,
    newRunId: () => 'R1',
  });
  feed.end('door.main', undefined, 'camera_offline', 'no answer');
  feed.fragment('door.main', 'R0', fragment(0, true));
  expect(posted).toEqual([
    { kind: 'end', stream: 'door.main', run: undefined, reason: 'camera_offline', detail: 'no answer' },
  ]);
});
