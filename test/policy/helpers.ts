import { generateKeyPairSync } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { FakeClock } from '../../src/base/fake-clock.js';
import { ulid } from '../../src/base/ids.js';
import { silentLog } from '../../src/base/log.js';
import { COMMAND_TYPE, OPERATORS_TYPE, type Command, type JobMessage } from '../../src/contract/commands.js';
import type { Party } from '../../src/contract/policy.js';
import { Logins } from '../../src/identity/logins.js';
import { Owner } from '../../src/identity/owner.js';
import { Asks } from '../../src/policy/asks.js';
import { CommandDesk, type Handlers } from '../../src/policy/command-desk.js';
import { Consent } from '../../src/policy/consent.js';
import { Gate, type GatePorts } from '../../src/policy/gate.js';
import { signJws } from '../../src/proof/jws.js';
import { signerFromKey, type Signer } from '../../src/proof/keys.js';
import { localStore } from '../../src/store/local.js';
import { openState, temporaryDir } from '../store/helpers.js';

export const NOW = Date.parse('2026-06-03T15:00:00Z');
export const ownerParty: Party = { kind: 'local', role: 'owner', name: 'Ms Lee' };
export const technician: Party = { kind: 'local', role: 'technician', name: 'technician' };
export const PASS = 'correct horse battery';
export const newSigner = (): Signer => signerFromKey(generateKeyPairSync('ed25519').privateKey);

export const termsText = (version: number, camera: object = {}, more: object = {}): string =>
  JSON.stringify({
    version,
    authority: 'owner',
    timeZone: 'America/Chicago',
    cameras: [{ camera: 'gate', mode: 'clips', ...camera }],
    ...more,
  });

export interface BoxOptions {
  dir?: string;
  clock?: FakeClock;
  file?: string | null;
  trusted?: () => boolean;
  handlers?: Handlers;
}

/** Store, gate, consent, asks and command desk as main.ts wires them, with a center that signs. */
export async function policyBox(options: BoxOptions = {}) {
  const clock = options.clock ?? new FakeClock(NOW);
  const dir = options.dir ?? temporaryDir();
  const db = openState({ dir });
  const tables = localStore(db);
  const file = { text: options.file ?? null };
  const ports: GatePorts = {
    tables,
    readPolicyFile: async () => file.text,
    clockTrusted: options.trusted ?? (() => true),
    clock,
    log: silentLog,
  };
  const gate = await Gate.open(ports);
  const signer = newSigner();
  const center = newSigner();
  const place = { site: 'store-7', box: 'box-1' };
  const owner = new Owner(tables, new Logins(tables, clock), clock);
  const receipts = { tables, signer: () => signer, place: () => place, clock };
  const consent = new Consent({
    ...receipts,
    gate,
    unlockOwner: (passphrase) => owner.unlock(passphrase),
    cameraNames: async () => ({ gate: 'Front gate', back: 'Back room' }),
  });
  const jobs: JobMessage[] = [];
  const bound = { site: place.site, box: place.box, centerKeys: [center.keyId] };
  const membership: { now: typeof bound | null } = { now: bound };
  const asks: Asks = new Asks({ tables, gate, clock, onAnswer: (approval) => desk.answered(approval) });
  const desk = new CommandDesk({
    tables,
    gate,
    asks,
    clock,
    log: silentLog,
    bound: () => membership.now,
    handlers: options.handlers ?? {},
    publish: (message) => void jobs.push(message),
  });
  onTestFinished(async () => {
    asks.close();
    await desk.close();
    gate.close();
  });
  return {
    clock,
    dir,
    db,
    tables,
    file,
    gate,
    ports,
    signer,
    center,
    place,
    owner,
    receipts,
    consent,
    asks,
    desk,
    jobs,
    membership,
  };
}
export type PolicyBox = Awaited<ReturnType<typeof policyBox>>;

export async function enrolOperators(box: PolicyBox, version = 1, center = box.center): Promise<void> {
  const operators = [{ operator: 'jdoe', agency: 'JPD', name: 'J. Doe', role: 'detective' }];
  await box.desk.takeOperators(signJws(OPERATORS_TYPE, { schema: 1, ...box.place, version, operators }, center));
}

export function commandText(
  box: Pick<PolicyBox, 'center' | 'place' | 'clock'>,
  more: Partial<Command> = {},
  signer?: Signer,
): string {
  const now = box.clock.now();
  const command = {
    schema: 1,
    ...box.place,
    jobId: ulid(now),
    name: 'clip.request',
    args: { cameras: ['gate'], from: iso(now - 60_000), to: iso(now - 30_000), renditions: ['original'] },
    by: { agency: 'JPD', operator: 'jdoe', role: 'detective' },
    reason: 'robbery at the store',
    case: 'C-17',
    issuedAt: iso(now),
    expiresAt: iso(now + 60_000),
    ...more,
  };
  return signJws(COMMAND_TYPE, command, signer ?? box.center);
}

export const iso = (ms: number): string => new Date(ms).toISOString();
