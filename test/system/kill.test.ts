import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { agentKills } from './agent-kills.js';

const KILLS = 3;

test(
  `kill -9 at ${KILLS} random times loses at most one fragment per stream, and recording goes on`,
  { timeout: 200_000 },
  async () => {
    const seed = randomInt(2 ** 31);
    console.log(`seed ${seed}; scripts/prove kill does it 50 times`);
    const result = await agentKills({ kills: KILLS, cameras: 2, address: '127.0.31.11', seed });
    console.log(result.lostMs);
    expect(result).toMatchObject({ problems: [], kills: KILLS, unreadable: 0, unaccounted: 0 });
    expect(result.closed).toBeGreaterThanOrEqual(KILLS * 4);
  },
);
