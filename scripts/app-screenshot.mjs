// @ts-check
// Takes the README's picture of the inspector, docs/inspector.png, from the development server with its sample.
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { createServer } from 'vite';
import { findProgram } from './programs.mjs';

const path = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const target = path('docs/inspector.png');
/** As much as a picture in a README may weigh, in bytes. */
const LARGEST = 224 * 1024;

const executablePath = findProgram('chromium');
if (executablePath === undefined) throw new Error('chromium is not installed (npm run setup installs it)');

const server = await createServer({ configFile: path('vite.app.config.ts'), logLevel: 'error', server: { port: 0 } });
await server.listen();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--no-first-run'] });
try {
  const page = await browser.newPage({ viewport: { width: 1120, height: 1000 }, colorScheme: 'light' });
  await page.goto(server.resolvedUrls?.local[0] ?? '');
  await page.locator('#verdict[data-status="repairable"]').waitFor();
  await page.locator('#map-legend', { hasText: /Unmapped\d/ }).waitFor();
  await page.locator('.partitions').waitFor();
  mkdirSync(path('docs'), { recursive: true });
  const bottom = await page
    .locator('#panel-partitions')
    .evaluate((panel) => panel.getBoundingClientRect().bottom + globalThis.scrollY);
  const clip = { x: 0, y: 0, width: 1120, height: Math.ceil(bottom) + 16 };
  await page.screenshot({ path: target, fullPage: true, clip });
} finally {
  await browser.close();
  await server.close();
}

const { size } = statSync(target);
console.log(`${target}: ${Math.round(size / 1024)} KiB`);
if (size > LARGEST) throw new Error(`the picture has ${size} bytes, more than ${LARGEST}`);
