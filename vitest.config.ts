import { availableParallelism } from 'node:os';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import type { BrowserProviderOption } from 'vitest/node';
import { findProgram } from './scripts/programs.mjs';
import { servedInspector } from './test/app/support/served-inspector.js';
import { serviceWorker } from './test/support/service-worker/plugin.js';
import { SLOW, TIME_LIMIT } from './test/support/time-limits.js';

const chromium = findProgram('chromium');
const runs = Number(process.env['VHDX_PROPERTY_RUNS'] ?? 1);

const node: TestProjectInlineConfiguration = {
  extends: true,
  test: { name: 'node', include: ['test/**/*.test.ts'], exclude: ['test/package/**', 'test/**/*.page.test.ts'] },
};

// What holds for the package as a whole: its layers, its papers, what is packed. It wants a build.
const whole: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'package',
    include: ['test/package/*.test.ts'],
    testTimeout: SLOW.wholePackage.timeout,
    hookTimeout: SLOW.wholePackage.timeout,
  },
};

/** The project that runs the specs in a browser: all but those that need a file system. */
export const inBrowser = (
  browser: 'chromium' | 'firefox' | 'webkit',
  provider: BrowserProviderOption,
): TestProjectInlineConfiguration => ({
  extends: true,
  plugins: [serviceWorker(), servedInspector()],
  // Found out while specs run, it would make Vite reload the page in the middle of them.
  optimizeDeps: { include: ['@assemblyscript/loader', 'fast-check'] },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.node.test.ts', 'test/package/**'],
    // What is tried does not depend on the engine; Node tries all of it.
    provide: { propertyRuns: 0.1 * runs },
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider,
      instances: [{ browser, name: browser }],
    },
  },
});

/** The same in Chromium, wherever it is. */
export const inChromium = (executablePath = chromium ?? 'chromium'): TestProjectInlineConfiguration =>
  inBrowser(
    'chromium',
    playwright({
      launchOptions: {
        executablePath,
        args: [
          '--no-sandbox', // root and containers have no sandbox to offer
          '--disable-gpu',
          '--disable-quic',
          '--no-first-run',
          '--disable-background-networking',
          '--disable-component-update',
          '--disable-sync',
        ],
      },
    }),
  );

// Shows the project as left out, and fails under CI=true: see the spec.
const withoutChromium: TestProjectInlineConfiguration = {
  extends: true,
  test: { name: 'chromium', include: ['test/support/without-chromium.ts'] },
};

export default defineConfig({
  test: {
    projects: [node, whole, chromium === undefined ? withoutChromium : inChromium()],
    reporters: ['default', './test/support/closing-line.ts'],
    maxWorkers: availableParallelism(), // by default one processor is left idle
    // What takes longer says so where it is declared, with a name of test/support/time-limits.ts.
    testTimeout: TIME_LIMIT,
    hookTimeout: TIME_LIMIT,
    expect: { poll: { timeout: TIME_LIMIT / 4 } },
    provide: { propertyRuns: runs, withPrograms: true },
    coverage: {
      provider: 'v8',
      // The command runs in processes of its own, where coverage is not measured.
      include: ['src/**/*.ts'],
      exclude: ['src/cli/**', 'src/**/*.generated.*'],
      reporter: [['text', { skipFull: true }]],
      reportOnFailure: true,
      thresholds: { 'src/{format,log,image,disk}/**/*.ts': { lines: 95 } },
    },
  },
});
