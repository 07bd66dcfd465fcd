import { defineConfig } from 'vitest/config';
import { fileURLToPath } from 'node:url';

// On a shared machine a deadline can pass while nothing is wrong; whoever runs a test by hand sees every failure.
const retry = process.env['CI'] === undefined ? 0 : 1;

/** `fast` needs no build, no broker and no network namespace; `system` runs the built agent against real parts. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL('..', import.meta.url)),
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/system/**'],
          setupFiles: ['test/support/temporary.ts'],
          testTimeout: 20_000,
          // Most of them wait rather than compute, so that three at a time cost little.
          maxWorkers: 3,
          hookTimeout: 30_000,
          retry,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          setupFiles: ['test/support/temporary.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          // They wait for seconds of real time more than they compute; more than three at a time would delay one another.
          maxWorkers: 3,
          retry,
        },
      },
    ],
  },
});
