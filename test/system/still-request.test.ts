import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import type { AuditEntry } from '../../src/contract/audit.js';
import type { JobMessage } from '../../src/contract/commands.js';
import { mosquitto, subscribe } from '../center/mosquitto.js';
import { jobIn, operatorAsks } from './operator.js';
import { openSite, segmentFiles } from './site.js';

test(
  'the center asks for a single picture: the owner’s terms decide, masks are painted over, the list says what left',
  { timeout: 240_000 },
  async () => {
    const broker = await mosquitto();
    await broker.start();
    await using opened = await openSite({ cameras: 1, address: '127.0.48.11', centerArgs: ['--broker', broker.url] });
    const { site, ring } = opened;
    await until(async () => (segmentFiles(ring, 'cam-1.main').length > 1 ? true : undefined), 30_000);
    const { console: center } = await site.center.ready;
    const heard = subscribe(broker.port, 'bluelight/v1/jx-int-0042/box-1/job/#');
    const at = Date.now() - 3_000;
    const request = (atMs = at): Promise<string> =>
      operatorAsks(center, { name: 'still.request', args: { camera: 'cam-1', at: new Date(atMs).toISOString() } });
    const ends = async (id: string): Promise<JobMessage> => {
      const found = await until(async () => {
        const last = jobIn(heard.lines, id);
        return last !== undefined && !['QUEUED', 'IN_PROGRESS'].includes(last.state) ? last : undefined;
      }, 60_000);
      expect(found, site.agent.log()).toBeDefined();
      return found!;
    };
    let version = 1;
    const terms = async (more: object): Promise<void> => {
      version++;
      const camera = { camera: 'cam-1', mode: 'clips', ...more };
      const document = { version, authority: 'city', timeZone: 'UTC', cameras: [camera] };
      writeFileSync(site.policyPath, JSON.stringify(document));
      const shown = async () =>
        (await site.cli<{ version: number }>(['policy', 'show'])).version === version || undefined;
      expect(await until(shown, 20_000)).toBe(true);
    };
    const audit = (): Promise<AuditEntry[]> => site.cli<AuditEntry[]>(['audit', 'show', '--limit', '200']);

    // --- in full size, as the terms allow, with a manifest that anybody can check
    const first = await ends(await request());
    expect(first, site.agent.log()).toMatchObject({ state: 'SUCCEEDED', result: { clips: [{ camera: 'cam-1', rendition: 'stills', state: 'delivered' }] } }); // prettier-ignore
    const open = picture(site.dir, first);
    expect(execFileSync('sha256sum', [open.path]).toString().slice(0, 64)).toBe(open.sha256);
    const { key } = open.manifest;
    const checked = await site.tryCli<{ verdict: string }>(['verify', open.path, '--key', key]);
    expect(checked.value.verdict).toMatch(/^authentic/);
    const sent = (await audit()).find((row) => row.kind === 'still' && row.outcome === 'done');
    expect(sent).toMatchObject({ party: 'op-1', agency: 'rtcc', case: 'C-17', camera: 'cam-1', bytes: open.bytes });

    // --- the same moment with the left half hidden: all of it is one colour, and the rest is as it was
    const left = [[[0, 0], [500, 0], [500, 1000], [0, 1000]]]; // prettier-ignore
    await terms({ stills: true, masks: left });
    const second = await ends(await request());
    expect(second, site.agent.log()).toMatchObject({ state: 'SUCCEEDED' });
    const masked = picture(site.dir, second);
    expect(masked.manifest).toMatchObject({ derived: { masked: true } });
    expect(open.manifest).toMatchObject({ derived: { masked: false } });
    const [a, b] = [luma(open.path), luma(masked.path)];
    expect([b.width, b.height]).toEqual([a.width, a.height]);
    const hidden = new Set<number>();
    let [differs, shown] = [0, 0];
    for (let y = 0; y < a.height; y++) {
      for (let x = 0; x < a.width; x++) {
        const i = y * a.width + x;
        if (x < a.width / 2 - 16) hidden.add(b.pixels[i]!);
        else if (x > a.width / 2 + 16) {
          shown++;
          if (Math.abs(a.pixels[i]! - b.pixels[i]!) > 24) differs++;
        }
      }
    }
    expect(hidden.size).toBe(1);
    expect(differs / shown).toBeLessThan(0.001);

    // --- no: with a stable code, and in the list
    await terms({ stills: false });
    expect(await ends(await request())).toMatchObject({ state: 'REJECTED', error: { code: 'POLICY_DENIED' } });
    await terms({ stills: true });
    await site.cli(['pause', '--reason', 'a private party']);
    expect(await ends(await request())).toMatchObject({ state: 'REJECTED', error: { code: 'PAUSED_BY_OWNER' } });
    await site.cli(['resume']);
    const never = await ends(await request(Date.now() - 3_600_000));
    expect(never).toMatchObject({ state: 'FAILED', error: { code: 'NO_COVERAGE' } });
    const refusals = (await audit()).filter((row) => row.kind === 'still' && row.outcome === 'refused');
    expect(refusals.map(({ code }) => code).sort()).toEqual(['PAUSED_BY_OWNER', 'POLICY_DENIED']);
    await heard.stop();
    await broker.kill();
  },
);

interface Delivered {
  path: string;
  bytes: number;
  sha256: string;
  manifest: { key: string };
}

/** Where the virtual center keeps what arrived. */
function picture(dir: string, job: JobMessage): Delivered {
  const [clip] = (job.result as { clips: { clip: string; bytes: number; sha256: string }[] }).clips;
  const base = join(dir, 'center', 'clips', 'jx-int-0042', 'box-1', clip!.clip);
  const envelope = JSON.parse(readFileSync(`${base}.manifest.json`, 'utf8')) as { payload: string };
  const manifest = JSON.parse(Buffer.from(envelope.payload, 'base64').toString()) as { key: string };
  return { path: `${base}.jpg`, bytes: clip!.bytes, sha256: clip!.sha256, manifest };
}

function luma(path: string): { width: number; height: number; pixels: Buffer } {
  const probe = ['-v', 'error', '-show_entries', 'stream=width,height', '-of', 'csv=p=0', path];
  const [width, height] = execFileSync('ffprobe', probe).toString().trim().split(',').map(Number);
  const args = ['-v', 'error', '-i', path, '-pix_fmt', 'gray', '-f', 'rawvideo', 'pipe:1'];
  return { width: width!, height: height!, pixels: execFileSync('ffmpeg', args, { maxBuffer: 1 << 28 }) };
}
