// What keeps the house as ARCHITECTURE.md describes it: its picture, its folders, the size of its files.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LAYERS, TYPES_ONLY } from './layers.js';
import { readModules, root } from './module-graph.js';

const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
const src = readModules('src');

/** A layer's name as people say it: `disk` for `src/disk`. */
const short = (layer: string) => layer.replace(/^src\//, '');

const foldersOf = (folder: string) =>
  readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

describe('ARCHITECTURE.md', () => {
  /** The cells of the table of imports, its head first. */
  const rows = (/^\| imports \|.*\n\|[-:|]+\n((?:\|.*\n)*)/m.exec(text)?.[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.replaceAll('`', '').trim()));

  test('has a table that says who may import whom, as the layers have it', () => {
    const [head = [], ...body] = rows;
    const marked = (sign: string) =>
      Object.fromEntries(
        body.map(([layer = '', ...cells]) => [layer, head.slice(1).filter((_, column) => cells[column] === sign)]),
      );
    const shortened = (table: Readonly<Record<string, readonly string[]>>) =>
      Object.fromEntries(
        Object.keys(LAYERS).map((layer) => [
          short(layer),
          head.filter((name) => table[layer]?.map(short).includes(name)),
        ]),
      );
    expect(marked('●')).toEqual(shortened(LAYERS));
    expect(marked('types')).toEqual(shortened(TYPES_ONLY));
    expect(head.slice(1).sort()).toEqual([...new Set(Object.values(LAYERS).flat().map(short))].sort());
  });

  test('draws arrows only where the table allows them, to and from every layer', () => {
    const drawing = /### Who imports whom\s+```([^`]*)```/.exec(text)?.[1] ?? '';
    const lines = drawing.trim().split('\n');
    const chains = lines.map((line) => line.split(' ──► ').map((step) => step.trim().split(/\s*·\s*/)));
    const arrows = chains.flatMap((chain) =>
      chain.slice(1).flatMap((right, i) => (chain[i] ?? []).flatMap((from) => right.map((to) => [from, to] as const))),
    );
    const full = (name: string) => Object.keys(LAYERS).find((layer) => short(layer) === name) ?? name;
    const wrong = arrows.filter(([from, to]) => !LAYERS[full(from)]?.includes(full(to)));
    expect(wrong).toEqual([]);
    const drawn = new Set(arrows.flat().map(full));
    expect(Object.keys(LAYERS).filter((layer) => !drawn.has(layer))).toEqual(['assembly']);
  });
});

describe.each(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'])('%s', (name) => {
  const page = readFileSync(join(root, name), 'utf8');

  test('names files and folders that exist', () => {
    const quoted = /`((?:src|app|assembly|test|scripts|bench|docs|examples)\/[\w./-]*)/g;
    const linked = /\]\((?!https?:)([^)#]+)\)/g;
    const named = [quoted, linked].flatMap((pattern) => [...page.matchAll(pattern)].map(([, path = '']) => path));
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test('names scripts that npm can run', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const named = [...page.matchAll(/npm (?:run ([\w:]+)|(test)\b)/g)].map(([, script, own]) => script ?? own ?? '');
    expect(named.filter((script) => !(script in scripts))).toEqual([]);
  });
});

describe('a folder', () => {
  test('of test mirrors a room, or is about more than one', () => {
    /** Whole programs and pages, other implementations, engines, the package; and what specs are written with. */
    const others = ['app', 'bundlers', 'engines', 'manifests', 'oracles', 'package', 'support'];
    const rooms = [...foldersOf('src'), ...others];
    expect(foldersOf('test').filter((name) => !rooms.includes(name))).toEqual([]);
  });

  test('of src has its specs in a folder of test', () => {
    expect(foldersOf('src').filter((name) => !foldersOf('test').includes(name))).toEqual([]);
  });

  test('is small enough to be looked through: src/disk has at most 24 files', () => {
    const inDisk = [...src.keys()].filter((path) => /^src\/disk\/[^/]+$/.test(path));
    expect(inDisk.length).toBeLessThanOrEqual(24);
  });
});

describe('a spec', () => {
  const specs = [...readModules('test')].filter(([path]) => path.endsWith('.test.ts'));

  test('that may take longer than others says so with a name of test/support/time-limits.ts', () => {
    const inNumbers =
      /\b(?:test|hook)Timeout\b|^ *\}, [\d_]{5,}\);$|\{ timeout: [\d_]{5,} \}, (?:async )?\(|,\n *[\d_]{5,},?\n *\);/m;
    expect(specs.length).toBeGreaterThan(50);
    expect(specs.filter(([, { text }]) => inNumbers.test(text)).map(([path]) => path)).toEqual([]);
  });

  test('that tries a property takes the number of runs from test/support/property-runs.ts', () => {
    expect(specs.filter(([, { text }]) => /\{ numRuns: \d+ \}/.test(text)).map(([path]) => path)).toEqual([]);
  });
});
