// @ts-check
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { chromium } from 'playwright';
import { bundlePage } from '../scripts/bundle-page.mjs';
import { ENGINES, oneFile } from './engines.mjs';
import { fixture, flatFile, needRoom } from './fixtures.mjs';
import { LeftOut, program, root } from './harness.mjs';
import { MiB, makeFlat } from './images.mjs';
import { floorRow, plainRow, rate, speedRow, time } from './rows.mjs';
import { Runs } from './turns.mjs';

/** Bytes that the page sums, and of which it makes a VHDX. */
const SUMMED = 256 * MiB;

/** What does a page take for a file that a person chose? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  const [flat, image] = [flatFile(folder), fixture(folder, 'full-256m')];
  needRoom(folder, SUMMED);
  const half = join(folder, 'half-256m.raw');
  makeHalf(half);
  try {
    const chromium = await inChromium([flat, image, half]);
    const rows = [...rowsOf(chromium), ...streamRows(chromium.runs)];
    /** @type {string[]} */
    const leftOut = [];
    try {
      rows.push(...rowsOf(await inFirefox(folder)));
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
      leftOut.push(`Firefox: ${error.message}`);
    }
    return {
      title: 'A file in a page',
      notes: [
        'A file of 1 GiB that was chosen by an `input`; in Firefox, where no program can choose, one of 256 MiB in the origin private file system. Its first 256 MiB are summed, and made a VHDX; so is the disk of 256 MiB in a VHDX. The floor reads the same by slices of 4 MiB, four at a time, and does nothing with them; ours takes the same slices, and hands them on as they are. In workers each has a part of the file, and its floor too; the parts of the checksum are combined. The stream of a raw disk looks at the beginning of each block first, because the length must be known before the first byte, and at all of a block of zeros.',
      ],
      rows,
      leftOut,
    };
  } finally {
    rmSync(half);
  }
}

/** @typedef {{ title: string, runs: Runs, workers: number, hasTargets: boolean }} Measured */

/** @param {Measured} measured */
function rowsOf({ title, runs, workers, hasTargets }) {
  const target = hasTargets ? 'page-file' : 'page-file-firefox';
  const row = (/** @type {string} */ what, /** @type {string} */ ours, /** @type {string} */ theirs) =>
    floorRow({ what: `${title}, ${what}`, runs, ours, theirs, figure: rate(SUMMED), target });
  const first = runs.median('first progress');
  return [
    row('CRC-32C of the file', 'file', 'floor'),
    row('CRC-32C of the disk in a VHDX', 'disk', 'floor'),
    row('CRC-32C of the file, in a worker', 'file, one worker', 'floor, one worker'),
    row(`CRC-32C of the file, in ${workers} workers`, 'file, workers', 'floor, workers'),
    plainRow({ what: `${title}, until the first progress is reported`, ours: time(first), value: first }),
  ];
}

/** @param {Runs} runs */
function streamRows(runs) {
  const row = (
    /** @type {string} */ what,
    /** @type {string} */ ours,
    /** @type {string} */ theirs,
    /** @type {import('./targets.mjs').TargetName} */ target,
  ) => speedRow({ what: `vhdxStream of ${what}`, runs, ours, theirs, figure: rate(SUMMED), target });
  return [
    row('a raw disk, all of it data', 'stream of raw', 'floor', 'page-stream'),
    row('a VHDX', 'stream of VHDX', 'floor', 'page-stream'),
    row('a raw disk, half of it zeros', 'stream of raw, half zeros', 'floor, half zeros', 'page-stream-zeros'),
  ];
}

/** @param {string[]} files @returns {Promise<Measured>} */
async function inChromium(files) {
  const { chunks } = await bundlePage(`import ${JSON.stringify(`${root}bench/page-files-entry.mjs`)};`);
  const site = await serve(new Map(chunks.map(({ fileName, code }) => [`/${fileName}`, code])));
  const entry = chunks.find(({ isEntry }) => isEntry)?.fileName;
  const browser = await chromium.launch({
    executablePath: program('chromium'),
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    const page = await browser.newPage();
    await page.goto(site.url);
    await page.locator('input').setInputFiles(files);
    await page.addScriptTag({ type: 'module', url: `/${entry}` });
    await page.waitForFunction(() => 'measured' in globalThis);
    const { figures, workers } = await page.evaluate(() => /** @type {any} */ (globalThis).measured);
    return { title: `Chromium ${browser.version()}`, runs: new Runs(figures), workers, hasTargets: true };
  } finally {
    await browser.close();
    site.close();
  }
}

/** @param {string} folder @returns {Promise<Measured>} */
async function inFirefox(folder) {
  const engine = ENGINES.Firefox?.();
  if (!engine) throw new Error('there is no Firefox among the engines');
  const script = await oneFile(folder, 'page-files');
  // No longer than what is summed: the page must copy them first.
  const flat = join(folder, 'flat-256m.raw');
  makeFlat(flat, SUMMED / (16 * MiB), 16 * MiB);
  const files = { flat, image: fixture(folder, 'full-256m') };
  const { figures, workers, error } = JSON.parse(await engine.run(script, folder, files));
  rmSync(flat);
  if (error) throw new LeftOut(error);
  return { title: engine.title, runs: new Runs(figures), workers, hasTargets: false };
}

/** Data in every second MiB. @param {string} path */
function makeHalf(path) {
  const fd = openSync(path, 'w');
  const bytes = Buffer.alloc(MiB, 'not all zeros');
  for (let at = 0; at < SUMMED; at += 2 * MiB) writeSync(fd, bytes, 0, MiB, at);
  ftruncateSync(fd, SUMMED);
  closeSync(fd);
}

/** @param {ReadonlyMap<string, string>} scripts @returns {Promise<{ url: string, close: () => void }>} */
async function serve(scripts) {
  const server = createServer(({ url = '' }, response) => {
    const script = scripts.get(url);
    // Isolated, a page gets the finer clock.
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    response.setHeader('Content-Type', script === undefined ? 'text/html' : 'text/javascript');
    response.end(script ?? '<!doctype html><title>A file in a page</title><input type="file" multiple>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return { url: `http://127.0.0.1:${address.port}/`, close: () => server.close() };
}
