import { fuzz } from '../lib/fuzz.js';
import type { CampaignOptions } from './main.js';

const MESSAGES = 100_000;
const SHORT = 3_000;

/** Damaged SOAP, RTSP, RTP and WS-Discovery messages into the clients of cameras; all of them, unless hours are given. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const count = options.n ?? (options.short ? SHORT : MESSAGES);
  const end = options.hours === undefined ? undefined : Date.now() + options.hours * 3_600_000;
  const { sent, runs, lagMs, problems } = await fuzz(count, options.seed, end);
  for (const problem of problems) console.log(problem);
  const total = sent.soap + sent.rtsp + sent.discovery;
  const parts = `SOAP ${sent.soap}, RTSP and RTP ${sent.rtsp}, WS-Discovery ${sent.discovery}`;
  const clients = Object.entries(runs).map(([client, times]) => `${client} ${times}`).join(', '); // prettier-ignore
  const repeat = problems.length === 0 ? '' : `; repeat: scripts/prove fuzz --n ${count} --seed ${options.seed}`;
  // Whoever asked for hours got hours; else the number is the claim.
  const enough = options.hours === undefined ? total >= count : total > 0;
  return {
    ok: problems.length === 0 && enough,
    summary: `${total} of ${count} damaged messages (${parts}) into ${clients}; lag ${lagMs.toFixed(0)} ms, ${problems.length} problems${repeat}`,
  };
}
