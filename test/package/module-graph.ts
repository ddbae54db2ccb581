import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** The checkout's folder. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** A module of this package, and what its import and export statements name (types included). */
export interface Module {
  /** The text, for what an import graph does not show. */
  readonly text: string;
  /** The package's own modules among them, as paths from the root such as `src/format/bat.ts`. */
  readonly own: readonly string[];
  /** Those of them that are loaded when the program runs: all but what `import type` and `export type` name. */
  readonly loaded: readonly string[];
  /** All else, as written, such as `node:fs` or `commander`. */
  readonly foreign: readonly string[];
}

/** Reads the import statements of all TypeScript files of a folder; keys are paths from the root. */
export function readModules(folder: string): Map<string, Module> {
  const files = existsSync(join(root, folder)) ? readdirSync(join(root, folder), { recursive: true }) : [];
  const paths = files.map((file) => posix.join(folder, String(file).replaceAll('\\', '/')));
  return new Map(paths.filter((path) => path.endsWith('.ts')).map((path) => [path, readModule(path)]));
}

function readModule(path: string): Module {
  const text = readFileSync(join(root, path), 'utf8');
  return { text, ...importsOf(path, text) };
}

/** What the import and export statements of a file with this path and text name. */
export function importsOf(path: string, text: string): Omit<Module, 'text'> {
  // A type loads no module; where it would trouble users of the declarations, the packed package's own spec says so.
  const statements = text.replaceAll('typeof import(', 'typeof (');
  const isOwn = (name: string) => name.startsWith('.');
  const paths = (names: readonly string[]) =>
    names.filter(isOwn).map((name) => posix.join(posix.dirname(path), name.replace(/\.js$/, '')).concat('.ts'));
  const names = namesIn(statements);
  return {
    own: paths(names),
    loaded: paths(namesIn(withoutTypeStatements(statements))),
    foreign: names.filter((name) => !isOwn(name)),
  };
}

/** The modules that a text names, each once. */
const namesIn = (text: string) => [
  ...new Set(ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName)),
];

/** A file's text without its `import type` and `export type … from` statements, which leave nothing in the JavaScript. */
function withoutTypeStatements(text: string): string {
  if (!/^(?:import|export) type /m.test(text)) return text;
  const { statements } = ts.createSourceFile('module.ts', text, ts.ScriptTarget.Latest);
  const isOfTypes = (node: ts.Statement) =>
    (ts.isImportDeclaration(node) && node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword) ||
    (ts.isExportDeclaration(node) && node.isTypeOnly);
  return statements
    .filter((node) => !isOfTypes(node))
    .map((node) => text.slice(node.pos, node.end))
    .join('');
}

/** The modules that `entry` needs, itself included. */
export function reachableFrom(entry: string, modules: ReadonlyMap<string, Module>): Set<string> {
  const seen = new Set([entry]);
  for (const path of seen) for (const next of modules.get(path)?.own ?? []) seen.add(next);
  return seen;
}

/** A chain of imports that comes back to where it began, first and last the same; `undefined` where there is none. */
export function findCycle(modules: ReadonlyMap<string, Module>): string[] | undefined {
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): string[] | undefined => {
    const start = trail.indexOf(path);
    if (start >= 0) return [...trail.slice(start), path];
    if (done.has(path)) return undefined;
    for (const next of modules.get(path)?.own ?? []) {
      const cycle = walk(next, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const path of modules.keys()) {
    const cycle = walk(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
