// @ts-check
/** What a page's script becomes when an app is built: for the specs and for the benchmark. */
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, createLogger } from 'vite';

/** @typedef {import('vite').Rolldown.OutputChunk} Chunk */

/**
 * Bundles and minifies a page's script as an app would. A script exports nothing, so that the bundler may put what
 * several of its parts share into the first of them.
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
      rolldownOptions: { input: 'page' },
    },
  });
  if (!('output' in built)) throw new Error('Vite did not build once');
  return { chunks: built.output.filter((file) => file.type === 'chunk'), warnings };
}

/** A script that uses something of the library: what is imported of it, as in `{ openVhdx }` or `* as vhdx`. @param {string} imported @param {string} entry path of the library */
export function scriptThatUses(imported, entry) {
  const name = /\w+(?= }|$)/.exec(imported)?.[0];
  return `import ${imported} from ${JSON.stringify(entry)}; globalThis.used = ${name};`;
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
