import { describe, expect, test } from 'vitest';
import { LAYERS, layerOf, TYPES_ONLY } from './layers.js';
import { findCycle, importsOf, type Module, reachableFrom, readModules } from './module-graph.js';

/** The imports that run against the table, as `from → to` lines. */
function violations(modules: ReadonlyMap<string, Module>): string[] {
  return [...modules].flatMap(([path, { own, loaded }]) => {
    const layer = layerOf(path);
    const allowed = [layer, ...(LAYERS[layer] ?? [])];
    const isAllowed = (target: string) =>
      allowed.includes(layerOf(target)) || (TYPES_ONLY[layer]?.includes(layerOf(target)) && !loaded.includes(target));
    return own.filter((target) => !isAllowed(target)).map((target) => `${path} → ${target}`);
  });
}

const src = readModules('src');
const assembly = readModules('assembly');
const everything = new Map([...src, ...assembly, ...readModules('app')]);

/** A module that imports these modules of the package, for the checks of the checks. */
const importing = (...own: string[]): Module => ({ text: '', own, loaded: own, foreign: [] });

describe('imports', () => {
  test('every file is in a layer', () => {
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

  test('of a sibling are of types only', () => {
    const path = 'src/format/bat.ts';
    const of = (text: string) => violations(new Map([[path, { text, ...importsOf(path, text) }]]));
    expect(of("import type { RandomAccessSource } from '../io/random-access.js';")).toEqual([]);
    expect(of("export type { Core } from '../core/core.js';")).toEqual([]);
    const found = [`${path} → src/io/slice.ts`];
    // With `verbatimModuleSyntax` the first of these loads the module for nothing.
    expect(of("import { type Slice } from '../io/slice.js';")).toEqual(found);
    expect(of("import type { Slice } from '../io/slice.js';\nimport { slice } from '../io/slice.js';")).toEqual(found);
    expect(of("const { slice } = await import('../io/slice.js');")).toEqual(found);
    expect(of("export * from '../io/slice.js';")).toEqual(found);
    expect(of("import type { VhdxDisk } from '../disk/disk.js';")).toEqual([`${path} → src/disk/disk.ts`]);
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
      new Set(Object.keys(LAYERS).filter((name) => /^src\/(?!cli|nbd|report|volumes)/.test(name))),
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
  test('does not reach the format', () => {
    const layers = new Set([...reachableFrom('src/volumes/index.ts', src)].map(layerOf));
    // Rules, for the types of an error; the core, for checksums, when a file system that has some is opened.
    expect([...layers].sort()).toEqual([
      'src/base',
      'src/core',
      'src/errors.ts',
      'src/io',
      'src/rule-meanings.ts',
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
