import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { LONG_SPECS } from './test/support/time-limits.js';
import base from './vitest.config.js';

// What `npm run test:quick` runs after every change: Node alone, nothing that is not in the checkout, a tenth of the
// property runs. Specs that are about other programs as a whole are not loaded; single ones are shown as left out.
export default defineConfig({
  test: {
    ...base.test,
    projects: [
      {
        extends: true,
        test: {
          name: 'quick',
          include: ['test/**/*.test.ts'],
          exclude: [
            'test/{app,oracles,engines}/**',
            'test/package/!(architecture|docblocks|house|manifest).test.ts',
            ...LONG_SPECS,
            'test/**/*.page.test.ts',
            'test/support/**', // the tools that specs are written with
            'test/io/page.node.test.ts',
          ],
        },
      },
    ],
    maxWorkers: availableParallelism() + 1, // some specs wait for timers
    env: { VHDX_QUICK: '1' },
    provide: { propertyRuns: Number(process.env['VHDX_PROPERTY_RUNS'] ?? 0.1), withPrograms: false },
  },
});
