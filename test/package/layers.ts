/**
 * Which layers a layer may import, besides itself, by their paths from the root: a folder, or a file that is a layer of
 * its own. What is not listed may not be imported. ARCHITECTURE.md has the same as a table.
 */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  app: ['src/report', 'src/index.ts', 'src/volumes/index.ts'],
  'src/cli': ['src/report', 'src/index.ts', 'src/nbd/index.ts', 'src/volumes/index.ts'],
  'src/report': ['src/index.ts'],
  'src/index.ts': [
    'src/edit',
    'src/shard',
    'src/vhd',
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
  'src/edit': [
    'src/vhd',
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
  'src/shard': ['src/disk', 'src/image', 'src/rules.ts', 'src/base'],
  'src/vhd': ['src/disk', 'src/image', 'src/format', 'src/core', 'src/io', 'src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/disk': ['src/image', 'src/log', 'src/format', 'src/core', 'src/io', 'src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/image': ['src/log', 'src/format', 'src/core', 'src/io', 'src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/log': ['src/format', 'src/core', 'src/io', 'src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/format': ['src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/core': ['src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/nbd/index.ts': ['src/nbd'],
  'src/nbd': ['src/io', 'src/errors.ts', 'src/base'],
  'src/volumes/index.ts': ['src/volumes'],
  'src/volumes': ['src/core', 'src/io', 'src/errors.ts', 'src/base'],
  'src/io': ['src/errors.ts', 'src/rules.ts', 'src/base'],
  'src/errors.ts': ['src/rules.ts', 'src/base'],
  'src/rules.ts': ['src/rule-meanings.ts', 'src/base'],
  'src/rule-meanings.ts': [],
  'src/base': [],
  assembly: [],
};

/** Which layers a layer may import besides, but with `import type` alone: its siblings, on which it must not lean. */
export const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = {
  'src/format': ['src/core', 'src/io'],
  'src/core': ['src/format', 'src/io'],
  'src/io': ['src/format', 'src/core'],
};

/** The layer that a path belongs to: the longest of the table's names that it begins with. */
export function layerOf(path: string): string {
  const names = Object.keys(LAYERS).filter((name) => path === name || path.startsWith(`${name}/`));
  return names.sort((a, b) => b.length - a.length)[0] ?? `no layer (${path})`;
}
