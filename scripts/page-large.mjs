// @ts-check
/**
 * A raw disk of 3 GiB is chosen in the inspector, in a real Chromium, and saved as VHDX in both ways that pages have: as a
 * download, and into a file handle. What comes out is compared with what went in, and the memory of the tab is watched.
 * Too long for every run of the tests: `node scripts/page-large.mjs [GiB]`. Linux only, for the memory.
 */
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { createServer } from 'vite';
import { findProgram } from './programs.mjs';

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const size = Number(process.argv[2] ?? 3) * GiB;
/** Most that the tab may have beyond what it has with the page alone, in bytes. */
const ALLOWED = 512 * MiB;

const { compareDisks, openDisk } = await import(new URL('../dist/index.js', import.meta.url).href);
const executablePath = findProgram('chromium');
if (executablePath === undefined) throw new Error('chromium is not installed (npm run setup installs it)');

const folder = mkdtempSync(join(tmpdir(), 'vhdx-page-'));
const root = fileURLToPath(new URL('../', import.meta.url));
const server = await createServer({
  configFile: join(root, 'vite.app.config.ts'),
  logLevel: 'error',
  server: { port: 0, hmr: false, watch: null },
});
await server.listen();
const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run'],
});
try {
  const raw = join(folder, 'disk.img');
  await makeRaw(raw);
  for (const way of ['a download', 'a file handle']) await saveIn(raw, way);
} finally {
  await context.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
}

/** Data in every second MiB, no two alike. @param {string} path */
async function makeRaw(path) {
  const file = await open(path, 'w');
  const bytes = randomFillSync(new Uint8Array(MiB));
  for (let at = 0; at < size; at += 2 * MiB) {
    new DataView(bytes.buffer).setFloat64(0, at);
    await file.write(bytes, 0, MiB, at);
  }
  await file.truncate(size);
  await file.close();
}

/** @param {string} raw @param {string} way */
async function saveIn(raw, way) {
  const page = await context.newPage();
  await page.addInitScript((isDownload) => {
    // The dialog is the one thing that no script may answer; a handle of the page's own storage takes its place.
    const picker = isDownload
      ? undefined
      : async () => (await navigator.storage.getDirectory()).getFileHandle('saved.vhdx', { create: true });
    Object.defineProperty(globalThis, 'showSaveFilePicker', { value: picker, configurable: true });
  }, way === 'a download');
  await page.goto(server.resolvedUrls?.local[0] ?? '');
  await page.locator('#drop').waitFor();
  // With the page alone: what opening the file takes counts too.
  const before = tabMemory();
  await page.locator('#files').setInputFiles(raw);
  await page.locator('.save label', { hasText: 'VHDX' }).last().click();
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, tabMemory());
  }, 200);
  const began = performance.now();
  const saved = join(folder, 'saved.vhdx');
  const downloading = way === 'a download' ? page.waitForEvent('download', { timeout: 0 }) : undefined;
  await page.getByRole('button', { name: 'Save…' }).click();
  if (downloading) await (await downloading).saveAs(saved);
  else await page.locator('#save-work', { hasText: /^Saved as|Saved as/ }).waitFor({ timeout: 0 });
  clearInterval(watch);
  const seconds = (performance.now() - began) / 1000;
  if (!downloading) await copyOut(page, saved);
  await page.close();
  const [a, b] = [await openDisk(raw, { format: 'raw' }), await openDisk(saved)];
  const difference = await compareDisks(a.source, b.source);
  await a.close();
  await b.close();
  rmSync(saved);
  const added = most - before;
  console.log(
    `${way}: ${size / GiB} GiB in ${seconds.toFixed(1)} s, the tab had at most ${Math.round(added / MiB)} MiB more than before; ${difference === undefined ? 'what came out is what went in' : `differs at ${JSON.stringify(difference)}`}`,
  );
  if (difference !== undefined || added > ALLOWED) process.exitCode = 1;
}

/** Copies what the page has in its own storage to a file. @param {import('playwright').Page} page @param {string} target */
async function copyOut(page, target) {
  const downloading = page.waitForEvent('download', { timeout: 0 });
  await page.evaluate(async () => {
    const handle = await (await navigator.storage.getDirectory()).getFileHandle('saved.vhdx');
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await handle.getFile());
    link.download = 'saved.vhdx';
    link.click();
  });
  await (await downloading).saveAs(target);
}

/** Memory of all tabs of this browser, in bytes: what they share counts once. */
function tabMemory() {
  let sum = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (!command.includes(folder) || !command.includes('--type=renderer')) continue;
      sum += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024;
    } catch {
      // It has ended meanwhile.
    }
  }
  return sum;
}
