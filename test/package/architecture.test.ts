import { describe, expect, test } from 'vitest';
import { findCycle, type Module, reachableFrom, readModules } from './module-graph.js';

/** Which layers a layer may import, besides itself. What is not listed may not be imported. */
const LAYERS: Record<string, readonly string[]> = {
  app: ['src/index.ts', 'src/volumes/index.ts'],
  'src/cli': ['src/index.ts', 'src/volumes/index.ts'],
  'src/index.ts': [
    'src/disk',
    'src/image',
    'src/log',
    'src/format',
    'src/core',
    'src/io',
    'src/errors.ts',
    'src/rules.ts',
    'src/base',
  ],
  'src/volumes/index.ts': ['src/volumes'],
  'src/volumes': ['src/io', 'src/errors.ts', 'src/base'],
  'src/disk': ['src/image', 'src/log', 'src/format', 'src/core', 'src/io', 'src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/image': ['src/log', 'src/format', 'src/core', 'src/io', 'src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/log': ['src/format', 'src/core', 'src/io', 'src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/format': ['src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/core': ['src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/io': ['src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/errors.ts': ['src/rules.ts', 'src/base'],
  'src/rules.ts': ['src/base'],
  'src/base': [],
  assembly: [],
};

/** The layer that a path lies in: the longest of the table's names that it begins with. */
function layerOf(path: string): string {
  const names = Object.keys(LAYERS).filter((name) => path === name || path.startsWith(`${name}/`));
  return names.sort((a, b) => b.length - a.length)[0] ?? `no layer (${path})`;
}

/** The imports that run against the table, as `from → to` lines. */
function violations(modules: ReadonlyMap<string, Module>): string[] {
  return [...modules].flatMap(([path, { own }]) => {
    const layer = layerOf(path);
    const allowed = [layer, ...(LAYERS[layer] ?? [])];
    return own.filter((target) => !allowed.includes(layerOf(target))).map((target) => `${path} → ${target}`);
  });
}

const src = readModules('src');
const assembly = readModules('assembly');
const everything = new Map([...src, ...assembly, ...readModules('app')]);

/** A module that imports these modules of the package, for the checks of the checks. */
const importing = (...own: string[]): Module => ({ text: '', own, foreign: [] });

describe('imports', () => {
  test('every file lies in a layer', () => {
    expect([...everything.keys()].filter((path) => !(layerOf(path) in LAYERS))).toEqual([]);
    expect(src.size).toBeGreaterThan(20);
    expect(assembly.size).toBeGreaterThan(3);
  });

  test('run one way', () => {
    expect(violations(everything)).toEqual([]);
  });

  test('that run the other way would be found', () => {
    const wrong = new Map([
      ['src/format/bat.ts', importing('src/io/file.ts', 'src/format/sizes.ts')],
      ['src/cli/main.ts', importing('src/index.ts', 'src/disk/disk.ts')],
      ['src/core/load.ts', importing('assembly/index.ts')],
    ]);
    expect(violations(wrong)).toEqual([
      'src/format/bat.ts → src/io/file.ts',
      'src/cli/main.ts → src/disk/disk.ts',
      'src/core/load.ts → assembly/index.ts',
    ]);
  });

  test('lead to files that exist', () => {
    const broken = [...everything].flatMap(([path, { own }]) =>
      own.filter((target) => !everything.has(target) && !target.includes('.generated.')).map((to) => `${path} → ${to}`),
    );
    expect(broken).toEqual([]);
  });

  test('form no cycle', () => {
    expect(findCycle(everything)).toBeUndefined();
  });

  test('that form a cycle would be found', () => {
    const ring = new Map([
      ['a.ts', importing('b.ts')],
      ['b.ts', importing('c.ts', 'd.ts')],
      ['c.ts', importing()],
      ['d.ts', importing('b.ts')],
    ]);
    expect(findCycle(ring)).toEqual(['b.ts', 'd.ts', 'b.ts']);
  });
});

describe('the portable entry', () => {
  const reached = [...reachableFrom('src/index.ts', src)];

  test('reaches the disk, the format, the core and the sources', () => {
    expect(new Set(reached.map(layerOf))).toEqual(
      new Set(Object.keys(LAYERS).filter((name) => /^src\/(?!cli|volumes)/.test(name))),
    );
  });

  test('imports nothing from outside the package but the AssemblyScript loader', () => {
    const foreign = reached.flatMap((path) => src.get(path)?.foreign.map((name) => `${path} → ${name}`) ?? []);
    expect(foreign.filter((line) => !line.endsWith(' → @assemblyscript/loader'))).toEqual([]);
  });

  test('names the loader in one file', () => {
    const importers = [...src].filter(([, { foreign }]) => foreign.includes('@assemblyscript/loader'));
    expect(importers).toHaveLength(1);
  });
});

describe('the door of volumes', () => {
  test('reaches neither the format nor the core', () => {
    const layers = new Set([...reachableFrom('src/volumes/index.ts', src)].map(layerOf));
    // Rules, for the types of an error.
    expect([...layers].sort()).toEqual([
      'src/base',
      'src/errors.ts',
      'src/io',
      'src/rules.ts',
      'src/volumes',
      'src/volumes/index.ts',
    ]);
  });
});

describe('a file', () => {
  test('is at most 300 lines long', () => {
    const long = [...everything].filter(
      ([path, { text }]) => !path.includes('.generated.') && text.split('\n').length > 301,
    );
    expect(long.map(([path]) => path)).toEqual([]);
  });
});
