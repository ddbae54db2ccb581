import { defineConfig } from 'vitest/config';
import { firefox, webkit } from './test/support/browser-processes.js';
import base, { inBrowser } from './vitest.config.js';

// The browsers that only `npm run test:engines` asks for, because they are not on every machine.
const projects = [inBrowser('firefox', firefox()), inBrowser('webkit', webkit())];

export default defineConfig({ test: { ...base.test, projects } });
