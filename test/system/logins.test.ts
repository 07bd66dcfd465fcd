import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Site } from '../../scripts/lib/site.js';
import type { SessionBody } from '../../src/contract/http.js';
import type { IssuedCodeBody, LoginsBody } from '../../src/contract/logins.js';
import type { IssuedReceiptBody } from '../../src/contract/owner.js';
import type { AuditEntry } from '../../src/contract/audit.js';
import type { PolicyDocument } from '../../src/contract/policy.js';
import { ask, type Answer } from '../web/harness.js';

const FIRST = 'four words are good';
const SECOND = 'and four others too';

test(
  'a visit ends by itself, nobody resets the owner, and a lost passphrase ends sharing instead of opening it',
  { timeout: 150_000 },
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'bluelight-logins-'));
    const site = new Site({ dir, cameras: 0, settings: { web: { technician: '2h' } } });
    try {
      site.writeConfig();
      const { page, loginCode = '' } = await site.startAgent();
      const port = Number(new URL(page).port);
      const login = (code: string): Promise<Answer> => ask({ port }, 'POST', '/api/v1/login', { body: { code, as: 'token' } }); // prettier-ignore
      const as = async (
        code: string,
      ): Promise<{ session: SessionBody; post(path: string, body: object): Promise<Answer> }> => {
        const session = (await login(code)).json() as unknown as SessionBody;
        const headers = { authorization: `Bearer ${session.token}` };
        return { session, post: (path, body) => ask({ port }, 'POST', `/api/v1${path}`, { headers, body }) };
      };
      const code = async (answer: Promise<Answer>): Promise<unknown> => (await answer).json()['code'];
      const leftMs = ({ expiresAt, now }: SessionBody): number => Date.parse(expiresAt) - Date.parse(now);

      // The technician: for a visit, and he cannot make it longer.
      const technician = await as(loginCode);
      expect(leftMs(technician.session)).toBeGreaterThan(2 * 3_600_000 - 5_000);
      expect(leftMs(technician.session)).toBeLessThanOrEqual(2 * 3_600_000);
      expect(await code(technician.post('/logins/technician', {}))).toBe('FORBIDDEN');
      const issued = await site.cli<IssuedCodeBody>(['login', 'technician', '--for', '10m']);
      // The printed code opens no longer, and its session is over.
      expect((await login(loginCode)).status).toBe(401);
      expect((await technician.post('/pause', { until: null })).status).toBe(401);
      const visit = await as(issued.code);
      expect(leftMs(visit.session)).toBeLessThanOrEqual(600_000);

      // The owner: set up once; neither the technician nor anybody else changes or removes what is his.
      const { key } = await site.cli<{ key: string }>(['policy', 'owner', 'Ms Lee'], FIRST);
      expect(await code(visit.post('/owner', { name: 'Ms Lee', passphrase: SECOND }))).toBe('OWNER_EXISTS');
      expect(await code(visit.post('/logins/remove', { name: 'Ms Lee' }))).toBe('FORBIDDEN');
      expect(await code(visit.post('/logins/viewer', { name: 'Clerk', password: 'a long password' }))).toBe(
        'FORBIDDEN',
      );
      expect((await site.tryCli(['login', 'remove', 'Ms Lee', '--owner'], FIRST)).code).not.toBe(0);
      expect((await site.tryCli(['policy', 'passphrase'], `${SECOND}\n${SECOND}\n`)).code).not.toBe(0);
      await site.cli(['login', 'viewer', 'Clerk', '--owner'], `${FIRST}\na long password\n`);
      expect((await as('a long password')).session.role).toBe('viewer');
      const owner = await as(FIRST);
      expect(owner.session.role).toBe('owner');
      await site.cli(['policy', 'passphrase'], `${FIRST}\n${SECOND}\n`);
      expect((await owner.post('/pause', { until: null })).status, 'a session under the old passphrase').toBe(401);
      expect((await login(FIRST)).status).toBe(401);
      const terms = join(dir, 'terms.json');
      const camera = { camera: 'cam-1', mode: 'live', stills: true };
      writeFileSync(terms, JSON.stringify({ version: 1, authority: 'owner', timeZone: 'UTC', cameras: [camera] }));
      await site.cli(['policy', 'accept', terms], SECOND);
      expect((await site.cli<PolicyDocument>(['policy', 'show'])).version).toBe(1);

      // The passphrase is lost: sharing ends, on the record; nothing of it is opened to anybody.
      const lost = await site.cli<IssuedReceiptBody>(['policy', 'owner-lost', '--reason', 'she forgot it']);
      expect(lost.receipt).toMatchObject({ kind: 'exit', words: expect.arrayContaining([expect.stringContaining('given up')]) }); // prettier-ignore
      expect((await site.cli<PolicyDocument>(['policy', 'show'])).version).toBe(0);
      expect((await site.cli<LoginsBody['logins']>(['login', 'list'])).map(({ name }) => name)).toEqual(['Clerk', 'technician']); // prettier-ignore
      expect((await site.tryCli(['policy', 'accept', terms], SECOND)).code).not.toBe(0);
      // Who says that the owner is lost does not become the owner with a technician's code.
      expect(await code(visit.post('/owner', { name: 'Thief', passphrase: FIRST }))).toBe('FORBIDDEN');
      const next = await site.cli<{ key: string }>(['policy', 'owner', 'Mr Ray'], FIRST);
      expect(next.key).not.toBe(key);
      expect((await site.cli<PolicyDocument>(['policy', 'show'])).version, 'old terms of another owner').toBe(0);
      // Guessing: one limit for the login and for every route that takes a passphrase.
      const guesses = [];
      for (let i = 0; i < 3; i++) guesses.push(await code(visit.post('/policy/accept', { document: { version: 2, authority: 'owner', timeZone: 'UTC', cameras: [] }, passphrase: `guess ${i}` }))); // prettier-ignore
      for (let i = 0; i < 2; i++) guesses.push(await code(visit.post('/owner/passphrase', { passphrase: `guess ${i}`, next: SECOND }))); // prettier-ignore
      expect(guesses.filter((one) => one === 'PASSPHRASE_WRONG').length).toBeGreaterThanOrEqual(4);
      expect(await code(visit.post('/resume', { passphrase: FIRST }))).toBe('RATE_LIMITED');
      expect((await login(FIRST)).status).toBe(429);

      const kinds = (await site.cli<AuditEntry[]>(['audit', 'show'])).map((row) => `${row.kind} ${row.outcome}`);
      for (const kind of ['owner.set_up done', 'owner.passphrase done', 'owner.lost done']) expect(kinds).toContain(`identity.${kind}`); // prettier-ignore
      for (const kind of ['login done', 'login refused', 'technician done', 'viewer done']) expect(kinds).toContain(`login.${kind}`); // prettier-ignore
      expect(kinds).toContain('policy.enrolment.ended done');
    } finally {
      await site.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
