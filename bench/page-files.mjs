// @ts-check
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { chromium } from 'playwright';
import { bundlePage } from '../scripts/bundle-page.mjs';
import { fixture, flatFile, needRoom } from './fixtures.mjs';
import { program, root } from './harness.mjs';
import { GiB, MiB } from './images.mjs';
import { floorRow, rate, speedRow } from './rows.mjs';
import { Runs } from './turns.mjs';

/** What does a page take for a file that a person chose? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  const [flat, image] = [flatFile(folder), fixture(folder, 'full-1g')];
  needRoom(folder, GiB / 2);
  const half = join(folder, 'half-1g.raw');
  makeHalf(half);
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
    await page.locator('input').setInputFiles([flat, half, image]);
    await page.addScriptTag({ type: 'module', url: `/${entry}` });
    await page.waitForFunction(() => 'measured' in globalThis);
    const runs = new Runs(await page.evaluate(async () => (await /** @type {any} */ (globalThis).measured).figures));
    const figure = rate(GiB);
    const [floor, halfFloor] = ['floor', 'floor, half zeros'];
    return {
      title: `A file in a page, in Chromium ${browser.version()}`,
      notes: [
        `1 GiB that was chosen by an \`input\`. The floor reads it by slices of 4 MiB, four at a time, and does nothing with them; ours reads slices of 8 MiB, two at a time, which is why it may be faster. The VHDX has 1 GiB of data; the stream of a raw disk with zeros reads it twice where there is data.`,
      ],
      rows: [
        floorRow({ what: 'CRC-32C of the file', runs, ours: 'file', theirs: floor, figure, target: 'page-file' }),
        floorRow({
          what: 'CRC-32C of the disk in a VHDX',
          runs,
          ours: 'disk',
          theirs: floor,
          figure,
          target: 'page-file',
        }),
        speedRow({
          what: 'vhdxStream of a raw disk, all of it data',
          runs,
          ours: 'stream of raw',
          theirs: floor,
          figure,
          target: 'page-stream',
        }),
        speedRow({
          what: 'vhdxStream of a VHDX',
          runs,
          ours: 'stream of VHDX',
          theirs: floor,
          figure,
          target: 'page-stream',
        }),
        speedRow({
          what: 'vhdxStream of a raw disk, half of it zeros',
          runs,
          ours: 'stream of raw, half zeros',
          theirs: halfFloor,
          figure,
          target: 'page-stream-zeros',
        }),
      ],
      leftOut: [],
    };
  } finally {
    await browser.close();
    site.close();
    rmSync(half);
  }
}

/** Data in every second MiB. @param {string} path */
function makeHalf(path) {
  const fd = openSync(path, 'w');
  const bytes = Buffer.alloc(MiB, 'not all zeros');
  for (let at = 0; at < GiB; at += 2 * MiB) writeSync(fd, bytes, 0, MiB, at);
  ftruncateSync(fd, GiB);
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
