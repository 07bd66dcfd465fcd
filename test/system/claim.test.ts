import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import { Site, type CenterReady } from '../../scripts/lib/site.js';
import { connectAgent } from '../../src/cli/agent.js';
import type { ClaimedBody, IdentityBody } from '../../src/contract/identity.js';
import type { IssuedClaim } from '../../src/sim/center/index.js';

/** A center and a box without cameras: what happens between the two of them. */
async function open(): Promise<
  AsyncDisposable & { site: Site; console: string; center(port?: number): Promise<CenterReady> }
> {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-claim-'));
  const site = new Site({ dir, cameras: 0 });
  const ready = await site.startCenter();
  site.writeConfig();
  await site.startAgent();
  return {
    site,
    console: ready.console,
    center: () => site.startCenter(),
    async [Symbol.asyncDispose]() {
      await site.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function post<T>(url: string, body: object = {}): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

const identity = (site: Site): Promise<IdentityBody> => site.cli<IdentityBody>(['key', 'show']);
const active = (site: Site): Promise<IdentityBody | undefined> =>
  until(async () => {
    const shown = await identity(site);
    return shown.claim.state === 'active' ? shown : undefined;
  }, 30_000);

test(
  'a code is compared, typed and used once; the claim of a box that lost its power completes by itself',
  { timeout: 200_000 },
  async () => {
    await using opened = await open();
    const { site, console } = opened;
    const issue = (box: string): Promise<IssuedClaim> => post(`${console}api/claims`, { site: 'jx', box });
    // A kill at any moment of a claim: afterwards the box is free or waits, and comes to its end.
    const key = (await identity(site)).key;
    for (const [round, delayMs] of [4, 12, 30, 60].entries()) {
      const { code, fingerprint, address } = await issue(`box-${round}`);
      const args = ['claim', '--code', '--center', address, '--fingerprint', fingerprint];
      const { socket } = await site.agent.ready;
      const claiming = connectAgent(socket).post('/claim/code', { address, code, fingerprint });
      await Promise.race([claiming.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, delayMs))]);
      await site.agent.stop('SIGKILL');
      await claiming.catch(() => undefined);
      await site.startAgent();
      const after = await identity(site);
      expect(after.key).toBe(key);
      if (after.claim.state === 'none') await site.cli<ClaimedBody>(args, code);
      const done = await active(site);
      expect(done?.claim).toMatchObject({ site: 'jx', box: `box-${round}`, center: 'virtual' });
      expect(done?.centerFingerprint).toBe(fingerprint);
      await site.cli(['optout']);
      const again = await site.tryCli<{ error: { code: string } }>(args, code);
      expect(again.value.error.code).toBe('CLAIM_USED');
      expect((await identity(site)).claim.state).toBe('none');
    }

    // Without the center: it waits, survives a restart, and completes when the center is there again.
    const late = await issue('box-late');
    await site.center.stop();
    const args = ['claim', '--qr'];
    expect(await site.cli<ClaimedBody>(args, late.qr)).toMatchObject({ state: 'waiting', site: null });
    expect((await site.status()).center.state).toBe('connecting');
    await site.agent.stop('SIGKILL');
    await site.startAgent();
    expect((await identity(site)).claim.state).toBe('waiting');
    expect((await site.tryCli(args, late.qr)).code).toBe(0);
    const other = await site.tryCli<{ error: { code: string } }>(['claim', '--file', join(site.dir, 'claim.json')]);
    expect(other.value.error.code).toBe('CLAIMED');
  },
);
