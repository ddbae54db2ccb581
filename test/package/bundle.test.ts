import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundlePage, gzippedSize, loadedAtOnce, scriptThatUses } from '../../scripts/bundle-page.mjs';
import { root } from './module-graph.js';

const KiB = 1024;
const entry = join(root, 'dist/index.js');

beforeAll(() => {
  if (!existsSync(entry)) throw new Error('dist is not there: npm run build');
});

describe.each([
  { page: 'everything', imported: '* as all', budget: 39.5 * KiB },
  { page: 'openVhdx', imported: '{ openVhdx }', budget: 28.5 * KiB },
  { page: 'crc32c', imported: '{ crc32c }', budget: 7.75 * KiB },
])('a page that uses $page', ({ page, imported, budget }) => {
  test(`loads at most ${budget} bytes, gzipped`, async () => {
    const { chunks } = await bundlePage(scriptThatUses(imported, entry));
    const bytes = gzippedSize(loadedAtOnce(chunks));
    console.info(`${page}: ${bytes} bytes gzipped, ${gzippedSize(chunks)} with all that is loaded when it is needed`);
    expect(bytes).toBeLessThanOrEqual(budget);
    expect(bytes).toBeGreaterThan(budget / 2);
  });
});

describe('the library in one file, for pages without a bundler', () => {
  test('has at most 111.5 KiB gzipped, on a few lines, and imports nothing', async () => {
    const text = await readFile(join(root, 'dist/vhdx.bundle.js'), 'utf8');
    const bytes = gzipSync(text, { level: 9 }).length;
    console.info(`vhdx.bundle.js: ${bytes} bytes gzipped`);
    expect(bytes).toBeLessThanOrEqual(111.5 * KiB);
    expect(text.split('\n').length).toBeLessThan(50);
    expect(text).not.toMatch(/\bimport\s*[("'{*]|\bfrom\s*["'`]/);
  });
});

describe('a page that bundles the whole library', () => {
  let page: Awaited<ReturnType<typeof bundlePage>>;

  beforeAll(async () => {
    page = await bundlePage(scriptThatUses('* as all', entry));
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
    expect(page.chunks.flatMap(({ moduleIds }) => moduleIds).filter((id) => id.includes('/dist/cli/'))).toEqual([]);
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
    const { chunks } = await bundlePage(`import ${JSON.stringify(entry)}; export const own = 1;`);
    expect(chunks.flatMap(({ moduleIds }) => moduleIds).filter((id) => id.startsWith(root))).toEqual([]);
  });
});
