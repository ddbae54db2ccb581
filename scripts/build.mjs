// @ts-check
/**
 * Builds dist from nothing, so that no file of an earlier build can slip into the package. The library stays in its
 * modules, of which a bundler leaves out what a page does not use; the command is put into few files together with all
 * that it needs, because Node would take longer to load a hundred than `vhdx info` takes to run.
 */
import { spawnSync } from 'node:child_process';
import { chmod, copyFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = new URL('../', import.meta.url);
const path = (/** @type {string} */ name) => fileURLToPath(new URL(name, root));

await rm(path('dist'), { recursive: true, force: true });
await import('./build-core.mjs');

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [tsc, '--project', path('tsconfig.build.json')], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

/** The library's door, and what it loads for a path, which nearly every command opens. */
const entries = ['src/index.ts', 'src/io/named-input.ts', 'src/io/file.ts', 'src/io/writer-of.ts'].map(path);
/** What the command loads of the library whatever it does. @type {Set<string>} */
const atOnce = new Set();

/** @param {string} id @param {{ getModuleInfo: (id: string) => { importedIds: readonly string[] } | null }} graph */
function addImports(id, graph) {
  if (atOnce.has(id)) return;
  atOnce.add(id);
  for (const imported of graph.getModuleInfo(id)?.importedIds ?? []) addImports(imported, graph);
}

await build({
  root: path('.'),
  configFile: false,
  logLevel: 'warn',
  // The loader is there wherever the library is.
  ssr: { external: ['@assemblyscript/loader'], noExternal: true },
  build: {
    ssr: true,
    target: 'es2022',
    outDir: 'dist/cli',
    minify: false,
    license: { fileName: 'third-party-licences.md' },
    rolldownOptions: {
      input: path('src/cli/main.ts'),
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: '[name].js',
        codeSplitting: {
          groups: [
            {
              debugName: 'library',
              name(id, graph) {
                for (const entry of entries) addImports(entry, graph);
                return atOnce.has(id) ? 'library' : null;
              },
            },
          ],
        },
      },
    },
  },
});

await chmod(path('dist/cli/main.js'), 0o755);
await copyFile(path('src/cli/output-schema.json'), path('dist/output-schema.json'));
