import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import type { Clip } from '../../src/contract/clip.js';
import type { ConsoleState } from '../../src/sim/center/console-state.js';
import { freePort, mosquitto } from '../center/mosquitto.js';
import { faultProxy } from '../uplinks/proxy.js';
import { openSite, segmentFiles, stampsOf, streamsOf } from './site.js';

const AWAY_MS = 60_000;

test(
  'a broker away for 60 s and an upload cut in the middle lose nothing and deliver nothing twice',
  { timeout: 400_000 },
  async () => {
    const broker = await mosquitto();
    await broker.start();
    const port = await freePort();
    const uploads = await faultProxy(port);
    await using opened = await openSite({
      cameras: 2,
      address: '127.0.32.11',
      centerArgs: ['--broker', broker.url, '--port', String(port)],
      // The way to the center's receiver leads through a proxy that can cut.
      editClaim(path) {
        const claim = JSON.parse(readFileSync(path, 'utf8')) as { center: { upload: string } };
        const upload = new URL(claim.center.upload);
        upload.port = String(uploads.port);
        claim.center.upload = upload.href;
        writeFileSync(path, JSON.stringify(claim));
      },
    });
    const { site, ring } = opened;
    const center = async (): Promise<ConsoleState> => {
      const url = new URL('/api/state', (await site.center.ready).console);
      return (await (await fetch(url)).json()) as ConsoleState;
    };
    expect(await until(async () => ((await center()).events.length > 0 ? true : undefined), 60_000)).toBe(true);

    await broker.kill();
    uploads.cutAfter.push(300_000, 500_000, 700_000);
    await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
    await broker.start();

    // Everything that the box says has ended must be at the center: once.
    const settled = await until(async () => {
      const status = await site.status();
      return status.queue.outbox === 0 && status.center.state === 'acknowledged' ? status : undefined;
    }, 90_000);
    expect(settled?.queue.outbox).toBe(0);
    const own = await until(async () => {
      const clips = await site.cli<Clip[]>(['clip', 'list']);
      const early = clips.filter((clip) => clip.motionEvent !== null).slice(-3);
      return early.length === 3 && early.every((clip) => clip.state === 'delivered') ? early : undefined;
    }, 120_000);
    expect(uploads.cuts, 'uploads that were cut').toBeGreaterThanOrEqual(1);
    const state = await center();
    for (const clip of own ?? []) {
      const received = state.clips.filter((one) => one.clip === clip.id);
      expect(received).toHaveLength(1);
      const file = await fetch(new URL(`/clips/${clip.id}/video.mp4`, (await site.center.ready).console));
      const bytes = new Uint8Array(await file.arrayBuffer());
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(clip.sha256);
      expect(stampsOf(bytes).length).toBeGreaterThan(0);
    }
    expect(own).toHaveLength(3);
    expect(new Set(state.events.map((event) => event.id)).size).toBe(state.events.length);

    // Recording never noticed: every picture number follows the one before.
    await site.agent.stop();
    for (const stream of streamsOf(ring)) {
      const frames = segmentFiles(ring, stream).flatMap((file) => stampsOf(file).map((stamp) => stamp.frame));
      const missing = frames.slice(1).filter((frame, i) => frame !== frames[i]! + 1);
      expect(missing, join(ring, stream)).toEqual([]);
    }
    await uploads.close();
    await broker.kill();
  },
);
