// @ts-check
import { gzipSync } from 'node:zlib';
import { root } from './harness.mjs';
import { plainRow } from './rows.mjs';

/** How much does a page load that uses all of the library? @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask() {
  const { build } = await import('vite');
  const page = {
    name: 'page',
    resolveId: (/** @type {string} */ id) => (id === 'page' ? '\0page' : undefined),
    load: (/** @type {string} */ id) => (id === '\0page' ? `export * from '${root}dist/index.js'` : undefined),
  };
  const built = await build({
    root,
    configFile: false,
    logLevel: 'error',
    plugins: [page],
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      rolldownOptions: { input: 'page', preserveEntrySignatures: 'strict' },
    },
  });
  const output = /** @type {import('vite').Rolldown.RolldownOutput} */ (built).output;
  const sizes = output.flatMap((file) =>
    file.type === 'chunk' ? [{ late: file.isDynamicEntry, bytes: gzipSync(file.code, { level: 9 }).length }] : [],
  );
  const sum = (/** @type {boolean} */ late) =>
    sizes.reduce((total, size) => total + (size.late === late ? size.bytes : 0), 0);
  const row = (/** @type {string} */ what, /** @type {number} */ bytes) =>
    plainRow({ what, ours: `${bytes.toLocaleString('en')} bytes`, value: bytes });
  return {
    title: 'Size in a page',
    notes: [
      'Everything that the library exports, WebAssembly inline; bundled and minified by Vite, `gzip -9`. A KB is 1,024 bytes.',
    ],
    rows: [
      { ...row('loaded by every page', sum(false)), target: 'bundle-size' },
      row('loaded only where WebAssembly or its SIMD is missing', sum(true)),
    ],
    leftOut: [],
  };
}
