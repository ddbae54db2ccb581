import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, createLogger, type Rolldown } from 'vite';
import { beforeAll, describe, expect, test } from 'vitest';
import { root } from './module-graph.js';

const KiB = 1024;
const entry = join(root, 'dist/index.js');

interface Bundle {
  readonly chunks: readonly Rolldown.OutputChunk[];
  /** What the bundler complained about. */
  readonly warnings: readonly string[];
}

/** Bundles and minifies a page's script as an app would. */
async function bundle(code: string): Promise<Bundle> {
  const warnings: string[] = [];
  const customLogger = { ...createLogger('silent'), warn: (message: string) => warnings.push(message) };
  const page = {
    name: 'page',
    resolveId: (id: string) => (id === 'page' ? '\0page' : undefined),
    load: (id: string) => (id === '\0page' ? code : undefined),
  };
  const output = await build({
    root,
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
  if (!('output' in output)) throw new Error('Vite did not build once');
  return { chunks: output.output.filter((file) => file.type === 'chunk'), warnings };
}

const gzipped = (chunks: readonly Rolldown.OutputChunk[]) =>
  chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0);

beforeAll(() => {
  if (!existsSync(entry)) throw new Error('dist is not there: npm run build');
});

describe.each([
  { page: 'everything', exports: '*', budget: 36 * KiB },
  { page: 'openVhdx', exports: '{ openVhdx }', budget: 33 * KiB },
  { page: 'crc32c', exports: '{ crc32c }', budget: 10 * KiB },
])('a page that uses $page', ({ page, exports, budget }) => {
  test(`loads at most ${budget} bytes, gzipped`, async () => {
    const { chunks } = await bundle(`export ${exports} from ${JSON.stringify(entry)};`);
    const atOnce = gzipped(chunks.filter(({ isDynamicEntry }) => !isDynamicEntry));
    console.info(`${page}: ${atOnce} bytes gzipped, ${gzipped(chunks)} with all that is loaded when it is needed`);
    expect(atOnce).toBeLessThanOrEqual(budget);
    expect(atOnce).toBeGreaterThan(budget / 2);
  });
});

describe('a page that bundles the whole library', () => {
  let page: Bundle;

  beforeAll(async () => {
    page = await bundle(`export * from ${JSON.stringify(entry)};`);
  });

  test('hears no complaint from the bundler', () => {
    expect(page.warnings).toEqual([]);
  });

  test('gets the library and the loader, and nothing of the command', () => {
    const packages = page.chunks
      .flatMap(({ moduleIds }) => moduleIds)
      .map((id) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1])
      .filter((name) => name !== undefined);
    expect([...new Set(packages)]).toEqual(['@assemblyscript/loader']);
    expect(page.chunks.flatMap(({ moduleIds }) => moduleIds).filter((id) => id.includes('/cli/'))).toEqual([]);
  });

  test('imports nothing that a browser does not have', () => {
    const names = new Set(page.chunks.map(({ fileName }) => fileName));
    expect(page.chunks.flatMap(({ imports }) => imports).filter((name) => !names.has(name))).toEqual([]);
    expect(
      page.chunks.filter(({ code }) => /\bfrom\s*["']node:|\bimport\(\s*["']node:|\brequire\(/.test(code)),
    ).toEqual([]);
  });
});

describe('a page that imports the library and uses nothing of it', () => {
  test('gets nothing of it', async () => {
    const { chunks } = await bundle(`import ${JSON.stringify(entry)}; export const own = 1;`);
    expect(chunks.flatMap(({ moduleIds }) => moduleIds).filter((id) => id.startsWith(root))).toEqual([]);
  });
});
