// @ts-check
/** What a page's script becomes when an app is built: for the specs and for the benchmark. */
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, createLogger } from 'vite';

/** @typedef {import('vite').Rolldown.OutputChunk} Chunk */

/**
 * Bundles and minifies a page's script as an app would.
 *
 * @param {string} code
 * @returns {Promise<{ chunks: Chunk[], warnings: string[] }>} `warnings`: what the bundler complained about
 */
export async function bundlePage(code) {
  /** @type {string[]} */
  const warnings = [];
  const customLogger = { ...createLogger('silent'), warn: (/** @type {string} */ message) => warnings.push(message) };
  const page = {
    name: 'page',
    resolveId: (/** @type {string} */ id) => (id === 'page' ? '\0page' : undefined),
    load: (/** @type {string} */ id) => (id === '\0page' ? code : undefined),
  };
  const built = await build({
    root: fileURLToPath(new URL('../', import.meta.url)),
    configFile: false,
    logLevel: 'warn',
    customLogger,
    plugins: [page],
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      rolldownOptions: { input: 'page', preserveEntrySignatures: 'strict' },
    },
  });
  if (!('output' in built)) throw new Error('Vite did not build once');
  return { chunks: built.output.filter((file) => file.type === 'chunk'), warnings };
}

/** The chunks that a page loads before anything runs: the entry and what it imports, not what is imported later. @param {readonly Chunk[]} chunks */
export function loadedAtOnce(chunks) {
  /** @type {Set<Chunk>} */
  const loaded = new Set();
  const load = (/** @type {Chunk | undefined} */ chunk) => {
    if (chunk === undefined || loaded.has(chunk)) return;
    loaded.add(chunk);
    for (const name of chunk.imports) load(chunks.find(({ fileName }) => fileName === name));
  };
  load(chunks.find(({ isEntry }) => isEntry));
  return [...loaded];
}

/** How many bytes a server sends for some chunks. @param {readonly Chunk[]} chunks */
export function gzippedSize(chunks) {
  return chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0);
}
