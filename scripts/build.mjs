// @ts-check
/**
 * Builds dist from nothing, so that no file of an earlier build can slip into the package. The library stays in its
 * modules, of which a bundler leaves out what a page does not use, and is in one file besides, for pages without a
 * bundler; the command is put into few files together with all that it needs, because Node would take longer to load a
 * hundred than `vhdx info` takes to run.
 */
import { spawnSync } from 'node:child_process';
import { appendFile, chmod, copyFile, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'vite';

const root = new URL('../', import.meta.url);
const path = (/** @type {string} */ name) => fileURLToPath(new URL(name, root));

await rm(path('dist'), { recursive: true, force: true });
await import('./build-core.mjs');

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [tsc, '--project', path('tsconfig.build.json')], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

/** What nearly every command loads for a path sooner or later; in the command it comes at once. */
const forPaths = ['named-input', 'file', 'writer-of', 'lock'].map((name) => path(`src/io/${name}.ts`));
/** The library's door, and what it loads for a path. */
const entries = [path('src/index.ts'), ...forPaths, path('src/disk/copy.ts'), path('src/disk/salvage.ts')];
const main = path('src/cli/main.ts');
/** What many commands load: small, and a file for each would take longer to load than all of them to read. */
const shared = ['byte-size', 'findings-text', 'image-options', 'info-output', 'new-image-options', 'progress'];
const commandEntries = [main, ...[...shared, 'standard-output'].map((name) => path(`src/cli/${name}.ts`))];
/** What every command loads of the library, and what it loads besides. */
const library = new Set();
const command = new Set();

/** @param {string} id @param {Set<string>} modules @param {{ getModuleInfo: (id: string) => { importedIds: readonly string[] } | null }} graph */
function addImports(id, modules, graph) {
  if (modules.has(id)) return;
  modules.add(id);
  for (const imported of graph.getModuleInfo(id)?.importedIds ?? []) addImports(imported, modules, graph);
}

/** Makes `import()` of what is in the library's file anyway one without a file of its own: each costs half a millisecond. */
const atOnce = {
  name: 'at-once',
  /** @param {string} code @param {string} id */
  transform(code, id) {
    if (!id.startsWith(path('src/'))) return undefined;
    /** @type {string[]} */
    const imports = [];
    const text = code.replace(/\bimport\(\s*(['"])(\.[^'"]+)\.js\1\s*\)/g, (whole, _, from) => {
      const file = fileURLToPath(new URL(`${from}.ts`, pathToFileURL(id)));
      if (!entries.includes(file)) return whole;
      imports.push(`import * as atOnce${imports.length} from '${from}.js';`);
      return `Promise.resolve(atOnce${imports.length - 1})`;
    });
    return imports.length > 0 ? `${text}\n${imports.join('\n')}` : undefined;
  },
};

await build({
  plugins: [atOnce],
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
      // What a thread runs is started by its file's name.
      input: { main, 'crew-worker': path('src/cli/crew/worker.ts') },
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: '[name].js',
        codeSplitting: {
          groups: [
            {
              debugName: 'library',
              name(id, graph) {
                for (const entry of entries) addImports(entry, library, graph);
                return library.has(id) ? 'library' : null;
              },
            },
            {
              debugName: 'command',
              name(id, graph) {
                for (const entry of commandEntries) addImports(entry, command, graph);
                return command.has(id) && !entries.includes(id) && id !== main ? 'command' : null;
              },
            },
          ],
        },
      },
    },
  },
});

/** The library in one file for pages without a bundler, the loader and all builds of the core in it. */
await build({
  root: path('.'),
  configFile: false,
  logLevel: 'warn',
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: false,
    minify: true,
    license: { fileName: 'bundle-licences.md' },
    lib: { entry: path('src/index.ts'), formats: ['es'], fileName: () => 'vhdx.bundle.js' },
    rolldownOptions: { output: { codeSplitting: false, minify: true } },
  },
});

// The loader's package has no text of its licence; it is a part of this one.
const apache = await readFile(createRequire(import.meta.url).resolve('assemblyscript/LICENSE'), 'utf8');
await appendFile(path('dist/bundle-licences.md'), `\n${apache}`);

await import('./manual.mjs');

await chmod(path('dist/cli/main.js'), 0o755);
await copyFile(path('src/cli/output-schema.json'), path('dist/output-schema.json'));
