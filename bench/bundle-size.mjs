// @ts-check
import { bundlePage, gzippedSize, loadedAtOnce, scriptThatUses } from '../scripts/bundle-page.mjs';
import { root } from './harness.mjs';
import { plainRow } from './rows.mjs';

/** How much does a page load that uses the library? @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask() {
  const all = await sizes('* as all');
  const row = (/** @type {string} */ what, /** @type {number} */ bytes) =>
    plainRow({ what, ours: `${bytes.toLocaleString('en')} bytes`, value: bytes });
  return {
    title: 'Size in a page',
    notes: [
      'WebAssembly inline; bundled and minified by Vite, `gzip -9` of each file. A KB is 1,024 bytes. “Later” are the parts that few pages need: replay of a log, parents, HTTP, `check`, and the core for engines without WebAssembly or its SIMD.',
    ],
    rows: [
      { ...row('a page that uses everything, at once', all.atOnce), target: 'bundle-size' },
      row('a page that uses everything, later', all.later),
      { ...row('a page that uses openVhdx, at once', (await sizes('{ openVhdx }')).atOnce), target: 'bundle-open' },
      row('a page that uses crc32c, at once', (await sizes('{ crc32c }')).atOnce),
    ],
    leftOut: [],
  };
}

/** @param {string} imported */
async function sizes(imported) {
  const { chunks } = await bundlePage(scriptThatUses(imported, `${root}dist/index.js`));
  const atOnce = gzippedSize(loadedAtOnce(chunks));
  return { atOnce, later: gzippedSize(chunks) - atOnce };
}
