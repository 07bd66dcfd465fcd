import { generateKeyPairSync } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../scripts/lib/program.js';
import { Site } from '../../scripts/lib/site.js';
import { connectAgent } from '../../src/cli/agent.js';
import { ROTATION_TYPE, type EnrolmentMessage } from '../../src/contract/enrolment.js';
import type { ClaimedBody, IdentityBody, RotatedBody } from '../../src/contract/identity.js';
import type { AuditEntry } from '../../src/contract/audit.js';
import { signJws } from '../../src/proof/jws.js';
import { signerFromKey } from '../../src/proof/keys.js';
import type { IssuedClaim } from '../../src/sim/center/index.js';

interface Opened extends AsyncDisposable {
  site: Site;
  console: string;
  issue(box: string, lifeSeconds?: number): Promise<IssuedClaim>;
}

/** A center, which comes back at the same ports, and a box without cameras: what happens between the two of them. */
async function open(): Promise<Opened> {
  const dir = mkdtempSync(join(tmpdir(), 'bluelight-claim-'));
  const [mqtt, http] = [await freePort(), await freePort()];
  const site = new Site({ dir, cameras: 0, centerArgs: ['--mqtt-port', String(mqtt), '--port', String(http)] });
  const ready = await site.startCenter();
  site.writeConfig();
  await site.startAgent();
  return {
    site,
    console: ready.console,
    issue: (box, lifeSeconds) => post(`${ready.console}api/claims`, { site: 'jx', box, lifeSeconds }),
    async [Symbol.asyncDispose]() {
      await site.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function post<T>(url: string, body: object = {}): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

const identity = (site: Site): Promise<IdentityBody> => site.cli<IdentityBody>(['key', 'show']);
const becomes = (site: Site, fits: (shown: IdentityBody) => boolean): Promise<IdentityBody | undefined> =>
  until(async () => {
    const shown = await identity(site);
    return fits(shown) ? shown : undefined;
  }, 40_000);
const active = (site: Site): Promise<IdentityBody | undefined> => becomes(site, (one) => one.claim.state === 'active');
const refusal = async (site: Site, args: string[], input?: string): Promise<string> =>
  (await site.tryCli<{ error: { code: string } }>(args, input)).value.error.code;
const acknowledged = (site: Site): Promise<true | undefined> =>
  until(async () => ((await site.status()).center.state === 'acknowledged' ? true : undefined), 40_000);
/** With the fingerprint as the center told it. */
const typed = ({ address, fingerprint }: IssuedClaim): string[] => [
  'claim',
  '--code',
  '--center',
  address,
  '--fingerprint',
  fingerprint,
];

test(
  'a claim by code that loses power at any moment comes to its end, and its code is used once',
  { timeout: 200_000 },
  async () => {
    await using opened = await open();
    const { site, issue } = opened;
    const key = (await identity(site)).key;
    for (const [round, delayMs] of [4, 20, 60].entries()) {
      const claim = await issue(`box-${round}`);
      const { code, fingerprint, address } = claim;
      const { socket } = await site.agent.ready;
      const claiming = connectAgent(socket).post('/claim/code', { address, code, fingerprint });
      await Promise.race([claiming.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, delayMs))]);
      await site.agent.stop('SIGKILL');
      await claiming.catch(() => undefined);
      await site.startAgent();
      const after = await identity(site);
      expect(after.key).toBe(key);
      // Free or waiting, never between.
      if (after.claim.state === 'none') await site.cli<ClaimedBody>(typed(claim), code);
      const done = await active(site);
      expect(done?.claim).toMatchObject({ site: 'jx', box: `box-${round}`, center: 'virtual' });
      expect(done?.centerFingerprint).toBe(fingerprint);
      await site.cli(['optout']);
      expect(await refusal(site, typed(claim), code)).toBe('CLAIM_USED');
      expect((await identity(site)).claim.state).toBe('none');
    }
  },
);

test(
  'wrong and expired codes say so; a claim offline completes later; keys change by the word of the old one only; a box that is let go says why',
  { timeout: 250_000 },
  async () => {
    await using opened = await open();
    const { site, issue, console } = opened;

    const short = await issue('box-1', 1);
    await until(() => Promise.resolve(Date.now() > Date.parse(short.expiresAt) || undefined), 5_000);
    expect(await refusal(site, typed(short), short.code)).toBe('CLAIM_EXPIRED');
    const claim = await issue('box-1');
    expect(await refusal(site, typed(claim), 'ZZZZ-ZZZZ')).toBe('CLAIM_WRONG');
    expect(await refusal(site, typed({ ...claim, fingerprint: 'AAAA BBBB CCCC DDDD EEEE' }), claim.code)).toBe('CENTER_FOREIGN'); // prettier-ignore
    // Without a fingerprint from the center it is shown, and somebody must say that it is right.
    const shown = await site.tryCli<{ error: { code: string } }>(['claim', '--code', '--center', claim.address], claim.code); // prettier-ignore
    expect(shown.stderr).toContain(claim.fingerprint);
    expect(shown.value.error.code).toBe('USAGE');
    expect((await identity(site)).claim.state).toBe('none');

    // Without the center: it waits, survives a kill, and completes when the center is there again.
    await site.center.stop();
    expect(await site.cli<ClaimedBody>(['claim', '--qr'], claim.qr)).toMatchObject({ state: 'waiting', site: null });
    expect((await site.status()).center.state).toBe('connecting');
    await site.agent.stop('SIGKILL');
    await site.startAgent();
    expect((await identity(site)).claim.state).toBe('waiting');
    expect(await refusal(site, ['claim', '--file', join(site.dir, 'claim.json')])).toBe('CLAIMED');
    await site.startCenter();
    const first = (await active(site))!;
    expect(first.claim).toMatchObject({ state: 'active', site: 'jx', box: 'box-1' });

    // The page changes over to a certificate of the center without a restart, and openssl finds nothing wrong with it.
    const { page } = await site.agent.ready;
    expect(await becomes(site, (one) => one.certificate?.issuer === 'center')).toBeDefined();
    expect(sClient(new URL(page).port, join(site.dir, 'center', 'authority.pem'))).toContain(
      'Verify return code: 0 (ok)',
    );
    expect(sClient(new URL(page).port, '/etc/ssl/certs/ca-certificates.crt')).not.toContain('return code: 0 (ok)');

    // A new key of the box, in the words of the old one: openssl says so, and the center takes it.
    const rotated = await site.cli<RotatedBody>(['key', 'rotate']);
    expect(rotated.before).toBe(first.key);
    expect(opensslVerifies(site.dir, rotated.statement, first.key)).toBe(true);
    expect(opensslVerifies(site.dir, rotated.statement, rotated.after)).toBe(false);
    const known = (): Promise<{ key: string; refusedKey: string | null }[]> =>
      fetch(`${console}api/state`).then(async (r) => ((await r.json()) as { boxes: [] }).boxes);
    expect(await until(async () => ((await known()).some((box) => box.key === rotated.after) ? true : undefined), 20_000)).toBe(true); // prettier-ignore
    expect((await known()).every((box) => box.refusedKey === null)).toBe(true);
    expect(await acknowledged(site)).toBe(true);
    await site.agent.stop('SIGKILL');
    await site.startAgent();
    expect((await identity(site)).key).toBe(rotated.after);
    expect(await acknowledged(site)).toBe(true);

    // A new key of the center: by its old one it counts, by a stranger's it does not.
    const thief = signerFromKey(generateKeyPairSync('ed25519').privateKey);
    const said = { schema: 1, role: 'center', site: 'jx', box: 'box-1', from: first.centerKey, to: thief.keyId, at: '2026-11-23T10:00:00.000Z' }; // prettier-ignore
    const forged = join(site.dir, 'forged.json');
    writeFileSync(forged, JSON.stringify({ schema: 1, rotations: [signJws(ROTATION_TYPE, said, thief)], revocation: null })); // prettier-ignore
    expect(await refusal(site, ['key', 'center', forged])).toBe('UNTRUSTED_KEY');
    expect((await identity(site)).centerKey).toBe(first.centerKey);
    const { key: next } = await post<{ key: string }>(`${console}api/key/rotate`);
    expect(await becomes(site, (one) => one.centerKey === next)).toBeDefined();
    expect(await acknowledged(site)).toBe(true);
    const words = (await (await fetch(`${console}api/boxes/jx/box-1/enrolment`)).json()) as EnrolmentMessage;
    expect(opensslVerifies(site.dir, words.rotations[0]!, first.centerKey!)).toBe(true);

    // Let go: nothing is shared, the box says why, and joins again only by a new claim.
    await post(`${console}api/boxes/jx/box-1/revoke`, { reason: 'the store closed' });
    expect(await becomes(site, (one) => one.claim.state === 'none')).toBeDefined();
    expect(await becomes(site, (one) => one.certificate?.issuer === 'self')).toBeDefined();
    const { problems, center } = await site.status();
    expect(center.state).toBe('unclaimed');
    expect(problems.find((one) => one.code === 'CLAIM_REVOKED')?.message).toContain('the store closed');
    const rows = await site.cli<AuditEntry[]>(['audit', 'show']);
    const kinds = rows.map((row) => `${row.kind} ${row.outcome} ${row.code ?? ''}`.trim());
    for (const kind of [
      'identity.claim.code refused CLAIM_EXPIRED',
      'identity.claim.code refused CLAIM_WRONG',
      'identity.claim.qr done',
      'identity.key.rotate done',
      'identity.key.center done',
      'identity.enrolment refused UNTRUSTED_KEY',
      'policy.enrolment.ended done',
    ]) {
      expect(kinds).toContain(kind);
    }
    // What was printed before names a key that gave way.
    expect(await refusal(site, ['claim', '--qr'], claim.qr)).toBe('CENTER_FOREIGN');
    const anew = await issue('box-1');
    expect((await site.cli<ClaimedBody>(typed(anew), anew.code)).box).toBe('box-1');
    expect((await active(site))?.centerKey).toBe(next);
    expect((await site.status()).problems.some((one) => one.code === 'CLAIM_REVOKED')).toBe(false);
  },
);

function sClient(port: string, ca: string): string {
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', ca, '-verify_ip', '127.0.0.1', '-purpose', 'sslserver']; // prettier-ignore
  return spawnSync('openssl', args, { input: '' }).stdout.toString();
}

/** Whether openssl finds the signature of this Ed25519 key under a JWS (RFC 7515 §5.2). */
function opensslVerifies(dir: string, jws: string, key: string): boolean {
  const [header, payload, signature] = jws.split('.') as [string, string, string];
  // SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 §4).
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(key, 'base64url')]);
  writeFileSync(join(dir, 'p.der'), spki);
  writeFileSync(join(dir, 'm'), `${header}.${payload}`);
  writeFileSync(join(dir, 's'), Buffer.from(signature, 'base64url'));
  const args = ['pkeyutl', '-verify', '-rawin', '-pubin', '-keyform', 'DER', '-inkey', 'p.der', '-in', 'm', '-sigfile', 's']; // prettier-ignore
  try {
    return /Success/.test(execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' }).toString());
  } catch {
    return false;
  }
}
