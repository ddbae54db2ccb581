import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { firefox, webkit } from './test/support/browser-processes.js';
import { LONG_SPECS } from './test/support/time-limits.js';
import base, { inBrowser, inChromium } from './vitest.config.js';

const leftOut = process.env['VHDX_QUICK'] === undefined ? [] : LONG_SPECS;

/** The specs for any runtime that has a file system, without those that are about other programs and about pages. */
const inRuntime: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'runtime',
    provide: { propertyRuns: Number(process.env['VHDX_PROPERTY_RUNS'] ?? 0.1) },
    include: ['test/**/*.test.ts'],
    exclude: [
      'test/{package,app,oracles}/**',
      'test/**/*.page.test.ts',
      'test/support/*.node.test.ts',
      'test/io/page.node.test.ts',
      ...leftOut,
    ],
  },
};

/** The same specs again, in a module worker of the same browser. */
function inWorker(project: TestProjectInlineConfiguration): TestProjectInlineConfiguration {
  const [instance] = project.test?.browser?.instances ?? [];
  if (instance === undefined) throw new Error('not a browser');
  const instances = [{ ...instance, name: `${instance.browser}-worker` }];
  const browser = { ...project.test?.browser, instances };
  return { ...project, test: { include: ['test/support/module-worker/page.ts'], browser } };
}

const browsers = [inChromium(), inBrowser('firefox', firefox()), inBrowser('webkit', webkit())];
for (const { test } of browsers) test?.exclude?.push(...leftOut);

// What `npm run test:engines` asks for: other runtimes, browsers that are not on every machine, and workers.
export default defineConfig({ test: { ...base.test, projects: [inRuntime, ...browsers, ...browsers.map(inWorker)] } });
