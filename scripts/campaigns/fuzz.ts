import { fuzz } from '../lib/fuzz.js';
import type { CampaignOptions } from './main.js';

const MESSAGES = 100_000;
const SHORT = 3_000;
const BUDGET_MS = 9 * 60_000;

/** Damaged SOAP, RTSP, RTP and WS-Discovery messages into the clients of cameras. */
export async function run(options: CampaignOptions): Promise<{ ok: boolean; summary: string }> {
  const count = options.n ?? (options.short ? SHORT : MESSAGES);
  const hours = options.hours === undefined ? BUDGET_MS : options.hours * 3_600_000;
  const end = options.n === undefined ? Date.now() + hours : undefined;
  const { sent, lagMs, problems } = await fuzz(count, options.seed, end);
  for (const problem of problems) console.log(problem);
  const total = sent.soap + sent.rtsp + sent.discovery;
  const parts = `SOAP ${sent.soap}, RTSP and RTP ${sent.rtsp}, WS-Discovery ${sent.discovery}`;
  const repeat = problems.length === 0 ? '' : `; repeat: scripts/prove fuzz --n ${count} --seed ${options.seed}`;
  return {
    ok: problems.length === 0 && total > 0,
    summary: `${total} damaged messages (${parts}), lag ${lagMs.toFixed(0)} ms, ${problems.length} problems${repeat}`,
  };
}
