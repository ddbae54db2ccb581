import { defineConfig } from 'vitest/config';
import base from './vitest.config.js';

// What `npm run test:crashes` runs in each of its processes.
export default defineConfig({
  test: {
    ...base.test,
    projects: [
      {
        extends: true,
        test: { name: 'crash-long', include: ['test/support/crash/long-run.ts'], testTimeout: 0 },
      },
    ],
    provide: {
      propertyRuns: 1,
      withPrograms: false,
      crashRun: JSON.parse(process.env['VHDX_CRASH_RUN'] ?? '{"first":1,"step":1,"seconds":60,"states":100000}'),
    },
  },
});
