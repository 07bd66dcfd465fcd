import type { Clock } from '../base/clock.js';
import { errorMessage } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Discovered } from '../contract/camera.js';
import { inSubnet, mayBeCamera, rankXaddrs, type CameraInterface } from './addresses.js';
import { nodeOnvifVoice, onvifVoice, type Heard, type Voice } from './voices.js';

/** A scan is over after this, whatever happens. */
export const SCAN_MS = 9_000;
/** A probe or its answer is lost easily (multicast over Wi-Fi, a busy switch); with the second voice there are 11. */
const ROUNDS = 5;
const ROUND_EVERY_MS = 600;
const ROUND_LISTEN_MS = 2_000;
const SECOND_VOICE_MS = 3_000;
/** A flood of answers must not fill the memory. */
const MAX_HEARD = 2_000;

export interface DiscoveryOptions {
  clock: Clock;
  log: Log;
  allowLoopback: boolean;
}

/** WS-Discovery through both packages. */
export class CameraDiscovery {
  readonly #first: Voice;
  readonly #second: Voice;

  constructor(private readonly options: DiscoveryOptions) {
    this.#first = onvifVoice((reason) => options.log.debug({ reason }, 'unreadable discovery answer'));
    this.#second = nodeOnvifVoice(options.clock);
  }

  /** Looks on all interfaces at once; takes 4.4 s on one interface and never more than 9 s. */
  async scan(interfaces: readonly CameraInterface[]): Promise<Omit<Discovered, 'adopted'>[]> {
    const heard: Heard[] = [];
    const hear = (one: Heard): void => {
      if (heard.length < MAX_HEARD) heard.push(one);
    };
    // A link with several addresses is probed once by name; the second voice goes by address.
    const links = interfaces.filter((one, i) => interfaces.findIndex((other) => other.name === one.name) === i);
    const share = Math.floor(SCAN_MS / Math.max(1, interfaces.length)) - 200;
    await Promise.all([
      ...links.map((link) => this.#rounds(link, hear)),
      ...interfaces.map((one) => this.#probe(this.#second, one, Math.min(SECOND_VOICE_MS, share), hear)),
    ]);
    return mergeHeard(heard, interfaces, this.options.allowLoopback);
  }

  /** One quick round, 2 s: for a camera that is missed, whose answer is known. */
  async look(interfaces: readonly CameraInterface[]): Promise<Omit<Discovered, 'adopted'>[]> {
    const heard: Heard[] = [];
    const links = interfaces.filter((one, i) => interfaces.findIndex((other) => other.name === one.name) === i);
    const hear = (one: Heard): void => void (heard.length < MAX_HEARD && heard.push(one));
    await Promise.all(links.map((link) => this.#probe(this.#first, link, ROUND_LISTEN_MS, hear)));
    return mergeHeard(heard, interfaces, this.options.allowLoopback);
  }

  async #rounds(link: CameraInterface, hear: (one: Heard) => void): Promise<void> {
    const { clock } = this.options;
    const rounds = Array.from({ length: ROUNDS }, async (_, i) => {
      if (i > 0) await clock.sleep(i * ROUND_EVERY_MS);
      await this.#probe(this.#first, link, ROUND_LISTEN_MS, hear);
    });
    await Promise.all(rounds);
  }

  /** One voice failing on one interface must not silence the others. */
  async #probe(voice: Voice, target: CameraInterface, ms: number, hear: (one: Heard) => void): Promise<void> {
    try {
      await voice(target, ms, hear);
    } catch (error) {
      this.options.log.warn({ interface: target.name, reason: errorMessage(error) }, 'discovery probe failed');
    }
  }
}

/** Answers made into devices: one per EndpointReference (or, without one, per sender). */
export function mergeHeard(
  heard: readonly Heard[],
  interfaces: readonly CameraInterface[],
  allowLoopback: boolean,
): Omit<Discovered, 'adopted'>[] {
  const groups = new Map<string, Heard[]>();
  for (const one of heard) {
    if (!mayBeCamera(one.sender, allowLoopback)) continue;
    const key = one.endpointReference === '' ? `at ${one.sender}` : referenceKey(one.endpointReference);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].map((group) => mergeGroup(group, interfaces)).sort(byAddress);
}

/** EndpointReferences are compared without their scheme and case: firmware differs in both between answers. */
export function referenceKey(reference: string): string {
  return reference
    .toLowerCase()
    .replace(/^urn:/, '')
    .replace(/^uuid:/, '');
}

function mergeGroup(group: Heard[], interfaces: readonly CameraInterface[]): Omit<Discovered, 'adopted'> {
  // An answer whose own address stands in its list is the best witness of where the device is.
  const consistent = group.find((one) => one.xaddrs.some((xaddr) => hostOf(xaddr) === one.sender));
  const best = consistent ?? group[0]!;
  const fromBest = group.filter((one) => one.sender === best.sender);
  return {
    endpointReference: best.endpointReference,
    address: best.sender,
    xaddrs: rankXaddrs(
      fromBest.flatMap((one) => one.xaddrs),
      best.sender,
      interfaces,
    ),
    name: group.find((one) => one.name !== '')?.name ?? '',
    hardware: group.find((one) => one.hardware !== '')?.hardware ?? '',
    interface: best.interface.name,
    reachable: interfaces.some((one) => inSubnet(best.sender, one)),
    heardBy: [...new Set(group.map((one) => one.by))].sort().reverse(),
  };
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

function byAddress(a: { address: string }, b: { address: string }): number {
  return a.address.localeCompare(b.address, 'en', { numeric: true });
}
